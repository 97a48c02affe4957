package client

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Replica is the copy of a partition on a broker.
type Replica struct {
	topic.Partition
	Broker int32
}

func (r Replica) String() string { return fmt.Sprintf("%s-%d", r.Partition, r.Broker) }

// HashReplica returns TopicPartitionReplica.hashCode().
func HashReplica(r Replica) int32 {
	return 31*(31*(31+javamap.HashString(r.Topic))+r.Index) + r.Broker
}

// Place is where a replica lies, "" for nowhere, and where a copy of it is being made.
type Place struct{ Dir, FutureDir string }

// Places returns where replicas lie.
func (a *Admin) Places(ctx context.Context, replicas []Replica) (map[Replica]Place, error) {
	places := map[Replica]Place{}
	for broker, partitions := range byBroker(replicas) {
		var asked []kmsg.DescribeLogDirsRequestTopic
		ByTopic(partitions, func(name string, indexes []int32) {
			asked = append(asked, kmsg.DescribeLogDirsRequestTopic{Topic: name, Partitions: indexes})
		})
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = asked
		resp, err := a.CallBroker(ctx, "describeReplicaLogDirs", broker, req)
		if err != nil {
			return nil, err
		}
		for _, p := range partitions {
			places[Replica{p, broker}] = Place{}
		}
		for _, dir := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
			if err := throwable.FromCode(dir.ErrorCode, nil); dir.ErrorCode == kerr.KafkaStorageError.Code {
				continue // it is offline
			} else if err != nil {
				return nil, throwable.Newf(throwable.IllegalState, "The error %s for log directory %s in the response from "+
					"broker %d is illegal", throwable.From(err).Class, dir.Dir, broker)
			}
			for _, t := range dir.Topics {
				for _, p := range t.Partitions {
					r := Replica{topic.Partition{Topic: t.Topic, Index: p.Partition}, broker}
					place, asked := places[r]
					switch {
					case !asked:
						continue
					case p.IsFuture:
						place.FutureDir = dir.Dir
					default:
						place.Dir = dir.Dir
					}
					places[r] = place
				}
			}
		}
	}
	return places, nil
}

// Move has brokers move replicas to other directories, and returns the outcome for each: nil once the move
// has begun.
func (a *Admin) Move(ctx context.Context, targets map[Replica]string) map[Replica]error {
	results := map[Replica]error{}
	for broker, partitions := range byBroker(slices.Collect(maps.Keys(targets))) {
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		byDir := map[string][]topic.Partition{}
		for _, p := range partitions {
			r := Replica{p, broker}
			byDir[targets[r]] = append(byDir[targets[r]], p)
			results[r] = throwable.Newf(throwable.UnknownException, "The response from broker %d did not contain a result for replica %s", broker, r)
		}
		for _, dir := range slices.Sorted(maps.Keys(byDir)) {
			d := kmsg.NewAlterReplicaLogDirsRequestDir()
			d.Dir = dir
			ByTopic(byDir[dir], func(name string, indexes []int32) {
				d.Topics = append(d.Topics, kmsg.AlterReplicaLogDirsRequestDirTopic{Topic: name, Partitions: indexes})
			})
			req.Dirs = append(req.Dirs, d)
		}
		resp, err := a.CallBroker(ctx, "alterReplicaLogDirs", broker, req)
		if err != nil {
			for _, p := range partitions {
				results[Replica{p, broker}] = err
			}
			continue
		}
		for _, t := range resp.(*kmsg.AlterReplicaLogDirsResponse).Topics {
			for _, p := range t.Partitions {
				results[Replica{topic.Partition{Topic: t.Topic, Index: p.Partition}, broker}] = throwable.FromCode(p.ErrorCode, nil)
			}
		}
	}
	return results
}

func byBroker(replicas []Replica) map[int32][]topic.Partition {
	partitions := map[int32][]topic.Partition{}
	for _, r := range replicas {
		partitions[r.Broker] = append(partitions[r.Broker], r.Partition)
	}
	return partitions
}
