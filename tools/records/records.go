// Package records is gregorctl delete-records, Kafka's kafka-delete-records: it deletes the records of
// partitions before an offset.
package records

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// requestTimeout is how long a leader may wait for its followers, in milliseconds.
const requestTimeout = 30_000

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:     "delete-records",
		Script:   "kafka-delete-records",
		Short:    "Delete the records of partitions before an offset",
		About:    "This tool helps to delete records of the given partitions down to the specified offset.",
		Examples: "NAME --bootstrap-server localhost:9092 --offset-json-file offsets.json",
		Options: jopt.New(
			jopt.Value("bootstrap-server", "server(s) to use for bootstrapping", "REQUIRED: brokers to ask first, as host:port,host:port."),
			jopt.Value("offset-json-file", "Offset json file path", "REQUIRED: File that says up to which offset (exclusive; "+
				"-1: all there is) records are deleted:\n{\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}],\n \"version\":1\n}"),
			jopt.Value("command-config", "command config property file path", "File with properties of the admin client."),
		),
		Run: run,
	}
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, "bootstrap-server", "offset-json-file"); err != nil {
		return err
	}
	texts, err := options.Texts("bootstrap-server", "offset-json-file")
	if err != nil {
		return err
	}
	admin, err := client.NewAdmin(env, texts["bootstrap-server"], options, "command-config", "")
	if err != nil {
		return err
	}
	defer admin.Close()
	data, err := tool.ReadFile(texts["offset-json-file"])
	if err != nil {
		return err
	}
	offsets, order, err := parseOffsets(data)
	if err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout, "Executing records delete operation")
	watermarks, failed := deleteBefore(ctx, admin, offsets, order)
	fmt.Fprintln(env.Stdout, "Records delete operation completed:")
	javamap.Sort(order, -1, javamap.HashPartition)
	for _, p := range order {
		if err := failed[p]; err != nil {
			fmt.Fprintf(env.Stdout, "partition: %s\terror: %s\n", p, throwable.String(err))
			continue
		}
		fmt.Fprintf(env.Stdout, "partition: %s\tlow_watermark: %d\n", p, watermarks[p])
	}
	return nil
}

// deleteBefore asks the leaders to delete the records before offsets, and returns the partitions' low
// watermarks and errors.
func deleteBefore(ctx context.Context, admin *client.Admin, offsets map[topic.Partition]int64,
	partitions []topic.Partition) (map[topic.Partition]int64, map[topic.Partition]error) {
	watermarks := map[topic.Partition]int64{}
	ask := func(ctx context.Context, leader *kgo.Broker, asked []topic.Partition) (map[topic.Partition]error, error) {
		resp, err := leader.RetriableRequest(ctx, newRequest(offsets, asked))
		if err != nil {
			return nil, err
		}
		failed := map[topic.Partition]error{}
		for _, t := range resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				partition := topic.Partition{Topic: t.Topic, Index: p.Partition}
				watermarks[partition], failed[partition] = p.LowWatermark, throwable.FromCode(p.ErrorCode, nil)
				admin.LogUnexpected("DeleteRecordsHandler", fmt.Sprintf("DeleteRecords request for topic partition %s failed due to "+
					"an unexpected error", partition), p.ErrorCode)
			}
		}
		return failed, nil
	}
	return watermarks, admin.EachLeader(ctx, "deleteRecords", "DELETE_RECORDS", partitions, ask)
}

func newRequest(offsets map[topic.Partition]int64, partitions []topic.Partition) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = requestTimeout
	client.ByTopicHashed(partitions, func(name string, indexes []int32) {
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Partition, p.Offset = index, offsets[topic.Partition{Topic: name, Index: index}]
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	})
	return req
}
