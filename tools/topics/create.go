package topics

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// requestTimeout is how long a broker may take to create or delete a topic, in milliseconds.
const requestTimeout = 30_000

func (c *command) create(ctx context.Context) error {
	t, err := c.newTopic()
	if err != nil {
		return err
	}
	if strings.ContainsAny(t.Topic, "._") {
		fmt.Fprintln(c.env.Stdout, "WARNING: Due to limitations in metric names, topics with a period ('.') or "+
			"underscore ('_') could collide. To avoid issues it is best to use either, but not both.")
	}
	if err := c.checkNumbers(); err != nil {
		return err
	}
	if t.Topic == "" {
		return throwable.New(throwable.InvalidTopic, "The given topic name '' cannot be represented in a request.")
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = requestTimeout
	req.Topics = append(req.Topics, t)
	resp, err := c.admin.Call(ctx, "createTopics", req)
	if err != nil {
		return err
	}
	for _, created := range resp.(*kmsg.CreateTopicsResponse).Topics {
		switch err := throwable.FromCode(created.ErrorCode, created.ErrorMessage); {
		case throwable.Code(err) == kerr.TopicAlreadyExists.Code && c.options.Has(ifNotExists):
			return nil
		case err != nil:
			return err
		}
	}
	fmt.Fprintf(c.env.Stdout, "Created topic %s.\n", t.Topic)
	return nil
}

// newTopic returns the topic that the options describe.
func (c *command) newTopic() (kmsg.CreateTopicsRequestTopic, error) {
	t := kmsg.NewCreateTopicsRequestTopic()
	var err error
	if t.Topic, err = c.options.Value(topicName); err != nil {
		return t, err
	}
	count, given, err := c.options.Int32(partitions)
	if err != nil {
		return t, err
	}
	if t.NumPartitions = -1; given {
		t.NumPartitions = count
	}
	factor, given, err := c.options.Int32(replicationFactor)
	if err != nil {
		return t, err
	}
	if t.ReplicationFactor = -1; given {
		t.ReplicationFactor = int16(factor) // checked by checkNumbers
	}
	assignment, err := c.assignment()
	if err != nil {
		return t, err
	}
	for i, replicas := range assignment {
		p := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		p.Partition, p.Replicas = int32(i), replicas
		t.ReplicaAssignment = append(t.ReplicaAssignment, p)
	}
	t.Configs, err = c.settings()
	return t, err
}

func (c *command) checkNumbers() error {
	if factor, given, _ := c.options.Int32(replicationFactor); given && (factor < 1 || factor > 32767) {
		return illegal("The replication factor must be between 1 and 32767 inclusive")
	}
	if count, given, _ := c.options.Int32(partitions); given && count < 1 {
		return illegal("The partitions must be greater than 0")
	}
	return nil
}

var equals = regexp.MustCompile(`\s*=\s*`)

// settings reads --config name=value. Of two values for a name the last one counts.
func (c *command) settings() ([]kmsg.CreateTopicsRequestTopicConfig, error) {
	var settings []kmsg.CreateTopicsRequestTopicConfig
	for _, text := range c.options.Values(topicConfig) {
		parts := equals.Split(text, -1)
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1] // as Java's split does
		}
		if len(parts) != 2 {
			return nil, illegal("requirement failed: Invalid topic config: all configs to be added must be in the " +
				"format \"key=val\".")
		}
		setting := kmsg.NewCreateTopicsRequestTopicConfig()
		setting.Name, setting.Value = strings.TrimSpace(parts[0]), kmsg.StringPtr(strings.TrimSpace(parts[1]))
		settings = slices.DeleteFunc(settings, func(s kmsg.CreateTopicsRequestTopicConfig) bool { return s.Name == setting.Name })
		settings = append(settings, setting)
	}
	if err := checkSettings(settings); err != nil {
		return nil, err
	}
	for _, setting := range settings {
		if setting.Name == "message.format.version" {
			fmt.Fprintf(c.env.Stdout, "WARNING: The configuration message.format.version=%s is specified. This "+
				"configuration will be ignored if the version is newer than the inter.broker.protocol.version "+
				"specified in the broker or if the inter.broker.protocol.version is 3.0 or newer. This configuration "+
				"is deprecated and it will be removed in Apache Kafka 4.0.\n", *setting.Value)
		}
	}
	return settings, nil
}

// checkSettings refuses settings that topics do not have and values that they cannot have, which Kafka's tool does before it
// asks a broker.
func checkSettings(settings []kmsg.CreateTopicsRequestTopicConfig) error {
	byName := map[string]string{}
	for _, s := range settings {
		if s.Name == "remote.storage.enable" && strings.EqualFold(*s.Value, "true") {
			continue // whether they have tiered storage, the brokers know
		}
		byName[s.Name] = *s.Value
	}
	defaults, _, err := config.New(map[string]string{"zookeeper.connect": "none"}) // a broker's, of which only this is required
	if err != nil {
		return err
	}
	err = defaults.CheckTopic(byName)
	invalid, ok := errors.AsType[*config.InvalidTopic](err)
	switch {
	case !ok:
		return err
	case invalid.Value:
		return throwable.New(throwable.Config, invalid.Text)
	}
	return throwable.New(throwable.InvalidConfiguration, invalid.Text)
}

// assignment reads --replica-assignment: partitions separated by commas, their brokers by colons.
func (c *command) assignment() ([][]int32, error) {
	text, err := c.options.Value(replicaAssignment)
	if err != nil || text == "" {
		return nil, err
	}
	return parseAssignment(text)
}

func parseAssignment(text string) ([][]int32, error) {
	var assignment [][]int32
	for i, partition := range javastring.Split(text, ",") {
		replicas, duplicates := []int32{}, []int32(nil)
		for _, broker := range javastring.Split(partition, ":") {
			broker = strings.TrimSpace(broker)
			id, err := strconv.ParseInt(broker, 10, 32)
			if err != nil {
				return nil, throwable.New(throwable.NumberFormat, `For input string: "`+broker+`"`)
			}
			if slices.Contains(replicas, int32(id)) && !slices.Contains(duplicates, int32(id)) {
				duplicates = append(duplicates, int32(id))
			}
			replicas = append(replicas, int32(id))
		}
		if duplicates != nil {
			javamap.Sort(duplicates, -1, javamap.HashInt)
			return nil, throwable.New(throwable.AdminCommand,
				"Partition replica lists may not contain duplicate entries: "+join(duplicates, ","))
		}
		if assignment = append(assignment, replicas); len(replicas) != len(assignment[0]) {
			return nil, throwable.Newf(throwable.AdminOperation, "Partition %d has different replication factor: [%s]",
				i, join(replicas, ", "))
		}
	}
	return assignment, nil
}

func join(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}
