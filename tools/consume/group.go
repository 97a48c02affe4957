package consume

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// assignors are Kafka's, which may share a group with franz-go's balancers.
var assignors = map[string]func() kgo.GroupBalancer{
	"org.apache.kafka.clients.consumer.RangeAssignor":             kgo.RangeBalancer,
	"org.apache.kafka.clients.consumer.RoundRobinAssignor":        kgo.RoundRobinBalancer,
	"org.apache.kafka.clients.consumer.StickyAssignor":            kgo.StickyBalancer,
	"org.apache.kafka.clients.consumer.CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

// balancers returns the assignors that the configuration names.
func balancers(config *clientconf.Config) ([]kgo.GroupBalancer, error) {
	var named []kgo.GroupBalancer
	for _, class := range config.List("partition.assignment.strategy") {
		newBalancer, ok := assignors[trimClass(class)]
		if !ok {
			return nil, cannotConstruct(&throwable.Exception{Class: throwable.Kafka, Message: class + " ClassNotFoundException exception occurred",
				Cause: throwable.New(throwable.ClassNotFound, class)})
		}
		named = append(named, newBalancer())
	}
	return named, nil
}

// cannotConstruct is what Kafka's consumer makes of what it finds wrong while it is made.
func cannotConstruct(cause error) error {
	return &throwable.Exception{Class: throwable.Kafka, Message: "Failed to construct kafka consumer", Cause: cause}
}

func groupOptions(group string, config *clientconf.Config) ([]kgo.Opt, error) {
	balancers, err := balancers(config)
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.Balancers(balancers...),
		kgo.SessionTimeout(config.Millis("session.timeout.ms")),
		kgo.HeartbeatInterval(config.Millis("heartbeat.interval.ms")),
		kgo.RebalanceTimeout(config.Millis("max.poll.interval.ms")),
	}
	if id := config.String("group.instance.id"); id != "" {
		options = append(options, kgo.InstanceID(id))
	}
	return options, nil
}

// checkConfig refuses what Kafka's consumer refuses before it connects.
func checkConfig(config *clientconf.Config) error {
	classic := strings.EqualFold(config.String("group.protocol"), "classic")
	if classic && config.String("group.remote.assignor") != "" {
		return throwable.New(throwable.Config, "group.remote.assignor cannot be set when group.protocol=CLASSIC")
	}
	if classic && config.Int("heartbeat.interval.ms") >= config.Int("session.timeout.ms") {
		return cannotConstruct(throwable.New(throwable.IllegalArgument, "Heartbeat must be set lower than the session timeout"))
	}
	if classic {
		if _, err := balancers(config); err != nil {
			return err
		}
	}
	return checkPlugins(config)
}

// checkPlugins refuses classes that are to be called with records and metrics: there is no JVM to load them.
func checkPlugins(config *clientconf.Config) error {
	for _, property := range []string{"metric.reporters", "interceptor.classes"} {
		for _, class := range config.List(property) {
			if class != "" && class != "org.apache.kafka.common.metrics.JmxReporter" {
				return cannotConstruct(&throwable.Exception{Class: throwable.Kafka, Message: "Class " + class + " cannot be found",
					Cause: throwable.New(throwable.ClassNotFound, class)})
			}
		}
	}
	return nil
}

// The classes under which Kafka's consumer logs what goes wrong with its group.
const (
	coordinatorClass = "org.apache.kafka.clients.consumer.internals.ConsumerCoordinator"
	heartbeatClass   = "org.apache.kafka.clients.consumer.internals.HeartbeatRequestManager"
	consumerClass    = "org.apache.kafka.clients.consumer.internals.ClassicKafkaConsumer"
)

// joins reports whether a group is joined, with the protocol that this tool has.
func (r *request) joins(config *clientconf.Config) bool {
	return r.group != "" && strings.EqualFold(config.String("group.protocol"), "classic")
}

// checkGroup refuses groups that cannot be joined: those without a name, and those with the protocol of KIP-848,
// which brokers in ZooKeeper mode do not know.
func (c *consumer) checkGroup(ctx context.Context) error {
	if c.request.nameless {
		c.env.Log("WARN", consumerClass, c.logContext+"Support for using the empty group id by consumers is deprecated and will be "+
			"removed in the next major release.")
		err := throwable.FromCode(kerr.InvalidGroupID.Code, nil)
		c.logJoinFailure(err)
		return errors.Join(c.end(ctx, err), tool.Exit(0))
	}
	if c.request.group == "" || c.positions != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.request.timeout)
	defer cancel()
	req := kmsg.NewPtrConsumerGroupDescribeRequest() // asks what the coordinator knows, and joins nothing
	req.Groups = []string{c.request.group}
	resp, err := req.RequestWith(ctx, c.client)
	if ctx.Err() != nil {
		return errors.Join(c.end(ctx, throwable.New(throwable.Timeout, "")), tool.Exit(0))
	}
	if err == nil && len(resp.Groups) > 0 && resp.Groups[0].ErrorCode != kerr.UnsupportedVersion.Code {
		return uncaught{throwable.New(throwable.Config, "group.protocol=consumer is not supported by gregorctl: use classic")}
	}
	c.env.Log("ERROR", heartbeatClass, c.logContext+"GroupHeartbeatRequest failed due to UNSUPPORTED_VERSION: null")
	return uncaught{throwable.FromCode(kerr.UnsupportedVersion.Code, nil)}
}

// logJoinFailure logs why a group did not take this member.
func (c *consumer) logJoinFailure(err error) {
	switch throwable.Code(err) {
	case kerr.InconsistentGroupProtocol.Code, kerr.InvalidSessionTimeout.Code, kerr.InvalidGroupID.Code, kerr.GroupAuthorizationFailed.Code,
		kerr.GroupMaxSizeReached.Code:
		c.env.Log("ERROR", coordinatorClass, c.logContext+"JoinGroup failed due to fatal error: "+throwable.FromCode(throwable.Code(err), nil).Error())
	}
}
