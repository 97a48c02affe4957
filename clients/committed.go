package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// coordinatorPatience is how long a group's coordinator may take to be found and to have loaded the group,
// and coordinatorPause the time between two attempts.
const (
	coordinatorPatience = 30 * time.Second
	coordinatorPause    = 100 * time.Millisecond
)

// committed returns what a group has committed for partitions, by topic; -1: nothing.
func committed(ctx context.Context, client *kafka.Client, group string, partitions map[string][]int) (map[TopicPartition]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, coordinatorPatience)
	defer cancel()
	for {
		resp, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: partitions})
		if err == nil {
			err = resp.Error
		}
		if err == nil {
			return offsetsIn(resp)
		}
		err = fmt.Errorf("committed offsets of group %s: %w", group, err)
		if refused, ok := errors.AsType[kafka.Error](err); !ok || !refused.Temporary() {
			return nil, err
		}
		if !pause(ctx, coordinatorPause) {
			return nil, err
		}
	}
}

func offsetsIn(resp *kafka.OffsetFetchResponse) (map[TopicPartition]int64, error) {
	offsets := map[TopicPartition]int64{}
	for name, partitions := range resp.Topics {
		for _, p := range partitions {
			if p.Error != nil {
				return nil, fmt.Errorf("committed offset of %s-%d: %w", name, p.Partition, p.Error)
			}
			offsets[TopicPartition{name, p.Partition}] = p.CommittedOffset
		}
	}
	return offsets, nil
}

// bounds returns the bounds of partitions' logs, by topic.
func bounds(ctx context.Context, client *kafka.Client, partitions map[string][]int) (map[TopicPartition]Offsets, error) {
	req := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for name, numbers := range partitions {
		for _, p := range numbers {
			req.Topics[name] = append(req.Topics[name], kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
		}
	}
	resp, err := client.ListOffsets(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	found := map[TopicPartition]Offsets{}
	for name, listed := range resp.Topics {
		for _, p := range listed {
			if p.Error != nil {
				return nil, fmt.Errorf("list offsets of %s-%d: %w", name, p.Partition, p.Error)
			}
			found[TopicPartition{name, p.Partition}] = Offsets{First: p.FirstOffset, End: p.LastOffset}
		}
	}
	return found, nil
}
