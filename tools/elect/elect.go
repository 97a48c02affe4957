// Package elect is gregorctl elect-leaders, Kafka's kafka-leader-election: it has the controller move the
// leadership of partitions to their preferred replicas, or, where there is no leader, to a replica that may
// have missed records.
package elect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// The names of the options.
const (
	bootstrapServer = "bootstrap-server"
	adminConfig     = "admin.config"
	jsonFile        = "path-to-json-file"
	topicName       = "topic"
	partitionID     = "partition"
	allPartitions   = "all-topic-partitions"
	electionType    = "election-type"
)

// elections are the types of elections, by their numbers in the protocol.
var elections = []string{"PREFERRED", "UNCLEAN"}

// Command returns the tool.
func Command() *tool.Command {
	partition := jopt.Value(partitionID, "partition id", "The partition. REQUIRED with --topic.")
	partition.Kind = jopt.Integer
	election := jopt.Value(electionType, "election type", "REQUIRED: \"preferred\" moves leadership to the first replica of each "+
		"partition, if it is in sync and does not lead; \"unclean\" gives partitions without a leader one that may have missed records.")
	election.Names = elections
	return &tool.Command{
		Name:   "elect-leaders",
		Script: "kafka-leader-election",
		Short:  "Move leadership to preferred replicas, or to any that is left",
		About: "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are " +
			"preferred replicas and unclean replicas.",
		Examples: "NAME --bootstrap-server localhost:9092 --election-type preferred --all-topic-partitions\n" +
			"NAME --bootstrap-server localhost:9092 --election-type unclean --topic orders --partition 3",
		Options: jopt.New(
			jopt.Value(bootstrapServer, "host:port", "REQUIRED: brokers to ask first, as host:port,host:port."),
			jopt.Value(adminConfig, "config file", "File with properties of the admin client."),
			election,
			jopt.Value(topicName, "topic name", "The topic. Not with --path-to-json-file or --all-topic-partitions."),
			partition,
			jopt.Switch(allPartitions, "All partitions for which there is something to do. Not with --topic or --path-to-json-file."),
			jopt.Value(jsonFile, "Path to JSON file", "File with partitions:\n{\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1},\n"+
				"   {\"topic\": \"foobar\", \"partition\": 2}]\n}\nNot with --topic or --all-topic-partitions."),
		),
		Run: run,
	}
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := check(options); err != nil {
		return err
	}
	election, err := options.Enum(electionType)
	if err != nil {
		return err
	}
	partitions, err := selected(options)
	if err != nil {
		return err
	}
	texts, err := options.Texts(bootstrapServer, adminConfig)
	if err != nil {
		return err
	}
	admin, err := client.NewAdminWith(env, texts[bootstrapServer], texts[adminConfig],
		clientconf.Properties{"default.api.timeout.ms": "30000", "request.timeout.ms": "15000"})
	if err != nil {
		return err
	}
	defer admin.Close()
	results, err := elect(ctx, admin, election, partitions)
	if err != nil {
		return failure(env, err)
	}
	return report(env, election, results)
}

// check refuses combinations of options that make no sense, in Kafka's order and words.
func check(options *jopt.Set) error {
	refuse := func(format string, args ...any) error { return throwable.Newf(throwable.AdminCommand, format, args...) }
	var missing []string
	for _, name := range []string{bootstrapServer, electionType} {
		if !options.Has(name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return refuse("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	what, given := []string{topicName, allPartitions, jsonFile}, 0
	for _, name := range what {
		if options.Has(name) {
			given++
		}
	}
	switch {
	case given != 1:
		return refuse("One and only one of the following options is required: %s", strings.Join(what, ", "))
	case options.Has(topicName) && !options.Has(partitionID):
		return refuse("Missing required option(s): %s", partitionID)
	case !options.Has(topicName) && options.Has(partitionID):
		return refuse("Option %s is only allowed if %s is used", partitionID, topicName)
	}
	return nil
}

// elect asks for an election and returns the outcome of each partition; nil partitions are all.
func elect(ctx context.Context, admin *client.Admin, election string, partitions []topic.Partition) (map[topic.Partition]error, error) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType = int8(slices.Index(elections, election))
	req.TimeoutMillis = admin.TimeoutMillis()
	req.Topics = nil // all
	if partitions != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
	}
	client.ByTopic(partitions, func(name string, indexes []int32) {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = name, indexes
		req.Topics = append(req.Topics, t)
	})
	answer, err := admin.Call(ctx, "electLeaders", req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.ElectLeadersResponse)
	if err := throwable.FromCode(resp.ErrorCode, nil); err != nil {
		return nil, err
	}
	results := map[topic.Partition]error{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			results[topic.Partition{Topic: t.Topic, Index: p.Partition}] = throwable.FromCode(p.ErrorCode, p.ErrorMessage)
		}
	}
	return results, nil
}

// failure says why no election took place at all.
func failure(env *tool.Env, err error) error {
	message, cause := "", error(throwable.From(err))
	switch exception := throwable.From(err); {
	case exception.Class == throwable.Timeout:
		message = "Timeout waiting for election results"
	case throwable.Code(err) == kerr.ClusterAuthorizationFailed.Code:
		message, cause = "Not authorized to perform leader election", nil
	default:
		return throwable.InRuntime(throwable.InFuture(err))
	}
	fmt.Fprintln(env.Stdout, message)
	return &throwable.Exception{Class: throwable.AdminCommand, Message: message, Cause: cause}
}

// report prints the outcome of each partition; those that failed are an error.
func report(env *tool.Env, election string, results map[topic.Partition]error) error {
	sorted := slices.SortedFunc(maps.Keys(results), func(a, b topic.Partition) int { return strings.Compare(a.String(), b.String()) })
	javamap.Sort(sorted, -1, javamap.HashPartition)
	var succeeded, needless []string
	var failed []topic.Partition
	for _, p := range sorted {
		switch err := results[p]; {
		case err == nil:
			succeeded = append(succeeded, p.String())
		case throwable.Code(err) == kerr.ElectionNotNeeded.Code:
			needless = append(needless, p.String())
		default:
			failed = append(failed, p)
		}
	}
	if succeeded != nil {
		fmt.Fprintf(env.Stdout, "Successfully completed leader election (%s) for partitions %s\n", election, strings.Join(succeeded, ", "))
	}
	if needless != nil {
		fmt.Fprintf(env.Stdout, "Valid replica already elected for partitions %s\n", strings.Join(needless, ", "))
	}
	if failed == nil {
		return nil
	}
	all := throwable.Newf(throwable.AdminCommand, "%d replica(s) could not be elected", len(failed))
	for _, p := range failed {
		fmt.Fprintf(env.Stdout, "Error completing leader election (%s) for partition: %s: %s\n", election, p, throwable.String(results[p]))
		all.Suppressed = append(all.Suppressed, results[p])
	}
	return all
}
