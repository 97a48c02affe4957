package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// node returns what a znode holds, and whether there is one.
func (a *arena) node(path string) (map[string]any, bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	data, _, err := a.zk.Get(ctx, path)
	if errors.Is(err, zkutil.ErrNoNode) {
		return nil, false
	}
	var fields map[string]any
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &fields)
	}
	if err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	return fields, true
}

// reassigning counts the reassignments that the controller knows, and those that ZooKeeper asks for; -1 if nobody answers.
func (a *arena) reassigning() int {
	answer, err := a.ask(kmsg.NewPtrListPartitionReassignmentsRequest())
	resp, ok := answer.(*kmsg.ListPartitionReassignmentsResponse)
	if err != nil || !ok || resp.ErrorCode != 0 {
		return -1
	}
	n := len(resp.Topics)
	if _, wished := a.node(zkutil.ReassignmentPath); wished {
		n++
	}
	return n
}

// requireSettled waits until all replicas of a topic are in sync and led, and requires that ZooKeeper has nothing else of them,
// that every broker knows them as ZooKeeper does, and that no other has something of them on its disks.
func (a *arena) requireSettled(name string, replicas [][]int32) {
	a.t.Helper()
	for p, ids := range replicas {
		a.Await(fmt.Sprintf("replicas %v of %s-%d in sync and led", ids, name, p), func() bool {
			state, err := a.registry.Partition(name, int32(p))
			return err == nil && slices.Contains(ids, state.Leader) && sameIDs(ids, state.ISR)
		})
		fields, _ := a.node(zkutil.PartitionStatePath(topic.Partition{Topic: name, Index: int32(p)}))
		requireFields(a, fields, "controller_epoch", "isr", "leader", "leader_epoch", "version")
	}
	fields, _ := a.node(zkutil.TopicPath(name))
	requireFields(a, fields, "adding_replicas", "partitions", "removing_replicas", "topic_id", "version")
	for _, left := range []string{"adding_replicas", "removing_replicas"} {
		if moving, ok := fields[left].(map[string]any); !ok || len(moving) > 0 {
			a.t.Errorf("%s has %s %v", name, left, fields[left])
		}
	}
	for _, b := range a.Brokers() {
		a.awaitKnown(b, name, replicas)
		for p, ids := range replicas {
			a.awaitDirs(b, fmt.Sprintf("%s-%d", name, p), slices.Contains(ids, b.ID()))
		}
	}
}

func sameIDs(a, b []int32) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func requireFields(a *arena, fields map[string]any, want ...string) {
	a.t.Helper()
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		a.t.Errorf("fields %v, want %v", got, want)
	}
}

// awaitKnown waits until a broker's metadata of a topic is what ZooKeeper says.
func (a *arena) awaitKnown(b *cluster.Broker, name string, replicas [][]int32) {
	a.t.Helper()
	var last any
	defer func() {
		if a.t.Failed() {
			a.t.Logf("broker %d knows of %s: %+v", b.ID(), name, last)
		}
	}()
	a.Await(fmt.Sprintf("broker %d knowing %s as it is", b.ID(), name), func() bool {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		resp, err := a.askBroker(b.ID(), req)
		if err != nil {
			return false
		}
		t := resp.(*kmsg.MetadataResponse).Topics[0]
		last = t
		if t.ErrorCode != 0 || len(t.Partitions) != len(replicas) {
			return false
		}
		for _, p := range t.Partitions {
			state, err := a.registry.Partition(name, p.Partition)
			if err != nil || p.Leader != state.Leader || p.LeaderEpoch != state.LeaderEpoch || !slices.Equal(p.Replicas, replicas[p.Partition]) ||
				!sameIDs(p.ISR, state.ISR) || len(p.OfflineReplicas) > 0 {
				return false
			}
		}
		return true
	})
}

// dirs returns the log directories of a broker.
func (a *arena) dirs(b *cluster.Broker) []string { return strings.Split(b.Prop("log.dirs"), ",") }

// awaitDirs waits until a broker has one directory of a replica, or none. A replica that was taken from a broker by a reassignment
// stays there, in Kafka as well, if the broker was dead, or if the controller was gone before the broker had its StopReplica:
// that is not waited for, and the next controller does not know that there was such a replica.
func (a *arena) awaitDirs(b *cluster.Broker, replica string, assigned bool) {
	a.t.Helper()
	if assigned {
		a.Await(fmt.Sprintf("one directory of %s on broker %d", replica, b.ID()), func() bool {
			found := a.replicaDirs(b, replica)
			return len(found) == 1 && filepath.Base(found[0]) == replica
		})
		return
	}
	begun := time.Now()
	a.Await(fmt.Sprintf("end of %s on broker %d", replica, b.ID()), func() bool {
		found := a.replicaDirs(b, replica)
		if len(found) == 1 && filepath.Base(found[0]) == replica && (a.harmed[b.ID()] || a.untold) && time.Since(begun) > 3*time.Second {
			a.t.Logf("broker %d keeps %v", b.ID(), found)
			a.left[found[0]] = true
		}
		return len(found) == 0 || len(found) == 1 && a.left[found[0]]
	})
}

// replicaDirs returns what directories there are of a replica, those that are to be deleted included.
func (a *arena) replicaDirs(b *cluster.Broker, replica string) (found []string) {
	for _, dir := range a.dirs(b) {
		for _, pattern := range []string{replica, replica + ".*"} {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			found = append(found, names...)
		}
	}
	return found
}

// requireKept requires that all is there that was acknowledged, and that the replicas are the same.
func (a *arena) requireKept(name string, acked cluster.Acked, replicas [][]int32) {
	a.t.Helper()
	a.t.Logf("%d records of %s were acknowledged", len(acked), name)
	a.RequireReadable(name, acked, patience)
	for p, ids := range replicas {
		var logs [][]byte
		a.Await(fmt.Sprintf("equally long replicas of %s-%d", name, p), func() bool {
			logs = nil
			for _, id := range ids {
				for _, dir := range a.dirs(a.Broker(id)) {
					if dir = filepath.Join(dir, fmt.Sprintf("%s-%d", name, p)); isDir(dir) {
						logs = append(logs, segments(a.t, dir))
					}
				}
			}
			return len(logs) == len(ids) && !slices.ContainsFunc(logs, func(l []byte) bool { return len(l) != len(logs[0]) })
		})
		for i, l := range logs {
			if !bytes.Equal(l, logs[0]) {
				a.t.Errorf("%s-%d: the replica of broker %d is not that of broker %d", name, p, ids[i], ids[0])
			}
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// requireUnthrottled requires that no throttle is left of a reassignment that the tool has verified.
func (a *arena) requireUnthrottled(name string) {
	a.t.Helper()
	paths := []string{"/config/topics/" + name}
	for _, b := range a.Brokers() {
		paths = append(paths, fmt.Sprintf("/config/brokers/%d", b.ID()))
	}
	for _, path := range paths {
		if fields, _ := a.node(path); strings.Contains(fmt.Sprint(fields), "throttled") {
			a.t.Errorf("%s still has %v", path, fields)
		}
	}
}
