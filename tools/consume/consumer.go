package consume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const (
	networkClient = "org.apache.kafka.clients.NetworkClient"
	metadataClass = "org.apache.kafka.clients.Metadata"

	// commitTimeout bounds the last commit and leaving the group.
	commitTimeout = 30 * time.Second

	// outputSize is how much is formatted before it is written.
	outputSize = 64 << 10
)

// consumer prints records until it has printed enough, none came for too long, or it is interrupted.
type consumer struct {
	env        *tool.Env
	request    *request
	client     *kgo.Client
	logContext string
	positions  *positions // where a member of a group is; nil without a group

	subscription *subscription // the topics that are included; nil for a topic
	following    sync.WaitGroup

	count  int64 // records processed
	output []byte
}

// runAndClose prints records and closes the client. Included topics are looked for meanwhile; cancel is told if that
// cannot go on.
func (c *consumer) runAndClose(ctx context.Context, cancel context.CancelCauseFunc) error {
	following, stop := context.WithCancel(ctx)
	if c.subscription != nil {
		c.following.Go(func() {
			if err := c.subscription.follow(following, c.client); err != nil {
				cancel(uncaught{err})
			}
		})
	}
	err := c.run(ctx)
	stop()
	c.close()
	return err
}

// run prints records. An error that Kafka's tool logs and takes for an end is logged here and is nil.
func (c *consumer) run(ctx context.Context) error {
	if c.done() {
		return nil
	}
	if err := c.checkGroup(ctx); err != nil {
		return err
	}
	if err := c.checkTopic(ctx); err != nil {
		return c.end(ctx, err)
	}
	last := time.Now()
	for !c.done() {
		fetches, err := c.poll(ctx, last)
		if err != nil {
			return c.end(ctx, err)
		}
		if !fetches.Empty() {
			last = time.Now()
		}
		err = c.print(fetches)
		if c.positions != nil {
			c.positions.commitDue(ctx)
			c.client.AllowRebalance()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// done reports whether enough was printed: at once if less than noLimit was asked for, as in Kafka.
func (c *consumer) done() bool {
	return c.request.maxMessages != noLimit && c.count >= c.request.maxMessages
}

// end logs why there are no more records, unless the tool was interrupted.
func (c *consumer) end(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		c.env.LogError(logger, "Error processing message, terminating consumer process: ", err)
	}
	return nil
}

// poll waits for records until the time-out after last, or until there is something to commit.
func (c *consumer) poll(ctx context.Context, last time.Time) (kgo.Fetches, error) {
	ctx, cancel := context.WithTimeout(ctx, c.request.timeout-time.Since(last))
	defer cancel()
	fetches := c.pollUntilDue(ctx)
	if !fetches.Empty() {
		return fetches, nil
	}
	if ctx.Err() != nil {
		return nil, throwable.New(throwable.Timeout, "")
	}
	var failure error
	fetches.EachError(func(topic string, partition int32, err error) {
		if failure == nil {
			if failure = fatal(topic, partition, err); failure != nil && topic == "" {
				c.logJoinFailure(failure)
			}
		}
	})
	return nil, failure
}

func (c *consumer) pollUntilDue(ctx context.Context) kgo.Fetches {
	if c.positions == nil {
		return c.client.PollFetches(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.positions.untilDue())
	defer cancel()
	return c.client.PollFetches(ctx)
}

// fatal returns what a fetch failed with if waiting does not help, else nil.
func fatal(topic string, partition int32, err error) error {
	code := throwable.Code(err)
	_, network := errors.AsType[*net.OpError](err)
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	judged, isJudged := errors.AsType[*throwable.Exception](err)
	switch {
	case code == kerr.TopicAuthorizationFailed.Code:
		return throwable.New("org.apache.kafka.common.errors.TopicAuthorizationException", "Not authorized to access topics: ["+topic+"]")
	case code == kerr.OffsetOutOfRange.Code:
		return throwable.Newf("org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
			"Fetch position is out of range for partition %s-%d", topic, partition)
	case code == kerr.UnknownTopicOrPartition.Code, code == kerr.UnknownTopicID.Code,
		code == kerr.InvalidReplicationFactor.Code, // of a topic that would be created: no broker is known yet
		network, lost,
		kerr.IsRetriable(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF):
		return nil
	case code != 0:
		return throwable.FromCode(code, nil)
	case isJudged:
		return judged
	case topic == "":
		return nil // of no partition: no broker could be reached
	}
	return throwable.Newf(throwable.Kafka, "Received exception when fetching the next record from %s-%d. If needed, please "+
		"seek past the record to continue consumption. (%v)", topic, partition, err)
}

// print formats and writes records. An error ends the tool.
func (c *consumer) print(fetches kgo.Fetches) error {
	var last *kgo.Record
	if c.positions != nil {
		defer func() { c.positions.printed(last) }()
	}
	for record := range fetches.RecordsAll() {
		if c.done() {
			break
		}
		c.count++
		if c.positions != nil && last != nil && (last.Partition != record.Partition || last.Topic != record.Topic) {
			c.positions.printed(last)
		}
		last = record
		before := len(c.output)
		output, err := c.request.formatter.format(c.output, record)
		c.output = output
		switch {
		case err != nil && c.request.skipErrors:
			c.output = c.output[:before]
			c.env.LogError(logger, "Error processing message, skipping this message: ", err)
		case err != nil:
			return errors.Join(c.write(), uncaught{err})
		}
		if len(c.output) >= outputSize {
			if err := c.write(); err != nil {
				return err
			}
		}
	}
	return c.write()
}

// write writes what was formatted. If nobody reads it, the tool ends as if it had been told to.
func (c *consumer) write() error {
	if len(c.output) == 0 {
		return nil
	}
	_, err := c.stdout().Write(c.output)
	c.output = c.output[:0]
	if err != nil {
		fmt.Fprintln(c.env.Stderr, "Unable to write to standard out, closing consumer.")
		return tool.Exit(0)
	}
	return nil
}

// stdout returns where records go: the bytes of keys and values, as they are, and what is text by its nature as text.
func (c *consumer) stdout() io.Writer {
	text, ok := c.env.Stdout.(*javastring.Writer)
	if _, plain := c.request.formatter.(*plain); ok && plain {
		return text.Raw()
	}
	return c.env.Stdout
}

// close commits what was printed and leaves the group.
func (c *consumer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if c.positions != nil {
		if err := c.positions.commit(ctx); err != nil {
			c.env.LogError(logger, c.logContext+"Offsets of the records printed last could not be committed", err)
		}
		c.client.AllowRebalance()
	}
	c.following.Wait()
	if c.positions != nil {
		_ = c.client.LeaveGroupContext(ctx) // the broker removes members that say nothing
	}
	c.client.CloseAllowingRebalance()
}

// checkTopic asks for the topic, which creates it where topics are created by use, and returns an error if it
// cannot be read whatever happens.
func (c *consumer) checkTopic(ctx context.Context) error {
	if c.request.topic == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.request.timeout)
	defer cancel()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(c.request.topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, t)
	req.AllowAutoTopicCreation = c.request.properties["allow.auto.create.topics"] != "false"
	resp, err := c.client.Request(ctx, req)
	if err != nil {
		return nil // polling waits for the broker
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		failure := kerr.TypedErrorForCode(t.ErrorCode)
		if failure == nil {
			return c.checkReset(t)
		}
		c.env.Log("WARN", networkClient, fmt.Sprintf("%sThe metadata response from the cluster reported a recoverable issue "+
			"with correlation id 2 : {%s=%s}", c.logContext, c.request.topic, failure.Message))
		if failure.Code == kerr.InvalidTopicException.Code {
			c.env.Log("ERROR", metadataClass, fmt.Sprintf("%sMetadata response reported invalid topics [%s]", c.logContext, c.request.topic))
			return throwable.New(throwable.InvalidTopic, "Invalid topics: ["+c.request.topic+"]")
		}
	}
	return nil
}

// checkReset returns an error if there is no place to begin in the topic: without a group nothing is committed.
func (c *consumer) checkReset(t kmsg.MetadataResponseTopic) error {
	if c.request.properties["auto.offset.reset"] != "none" || c.request.one || c.positions != nil {
		return nil
	}
	open := map[string][]int32{}
	for _, p := range t.Partitions {
		open[c.request.topic] = append(open[c.request.topic], p.Partition)
	}
	return undefinedOffset(open)
}
