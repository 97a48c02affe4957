package controller

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// parsePartition reads a partition as topic-index.
func parsePartition(text string) (p topic.Partition, err error) {
	i := strings.LastIndexByte(text, '-')
	if i < 0 {
		return p, fmt.Errorf("%q is no partition", text)
	}
	index, err := strconv.ParseInt(text[i+1:], 10, 32)
	return topic.Partition{Topic: text[:i], Index: int32(index)}, err
}

func parseIDs(text string) (ids []int32, err error) {
	if text == "" {
		return nil, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// codeName names an error code, "ok" for none.
func codeName(code int16) string {
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "ok"
}

// alter asks for changes of ISRs: alter broker=N epoch=N [version=N]; lines: PARTITION epoch=N
// version=N isr=N,N [recovering].
func (h *history) alter(t *testing.T, d *datadriven.TestData) error {
	version, broker, epoch := 3, 0, 0
	d.ScanArgs(t, "broker", &broker)
	d.ScanArgs(t, "epoch", &epoch)
	d.MaybeScanArgs(t, "version", &version)
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = int16(version), int32(broker), int64(epoch)
	for line := range strings.Lines(d.Input) {
		fields := strings.Fields(line)
		name, err := parsePartition(fields[0])
		if err != nil {
			return err
		}
		q := kmsg.NewAlterPartitionRequestTopicPartition()
		q.Partition = name.Index
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			var err error
			switch key {
			case "epoch":
				_, err = fmt.Sscan(value, &q.LeaderEpoch)
			case "version":
				_, err = fmt.Sscan(value, &q.PartitionEpoch)
			case "isr":
				q.NewISR, err = parseIDs(value)
			case "recovering":
				q.LeaderRecoveryState = 1
			case "recovery":
				_, err = fmt.Sscan(value, &q.LeaderRecoveryState)
			default:
				err = fmt.Errorf("unknown field %s", field)
			}
			if err != nil {
				return err
			}
		}
		h.addAlteration(req, name, q)
	}
	h.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) { h.describeAlterations(req, resp) })
	return nil
}

// addAlteration puts q into req as a leader of req's version would.
func (h *history) addAlteration(req *kmsg.AlterPartitionRequest, name topic.Partition, q kmsg.AlterPartitionRequestTopicPartition) {
	if req.Version >= alterByEpochs {
		for _, id := range q.NewISR {
			q.NewEpochISR = append(q.NewEpochISR, kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{BrokerID: id, BrokerEpoch: -1})
		}
		q.NewISR = nil
	}
	topic := kmsg.AlterPartitionRequestTopic{Partitions: []kmsg.AlterPartitionRequestTopicPartition{q}}
	if req.Version >= alterByID {
		topic.TopicID = h.ids[name.Topic]
		if topic.TopicID == [16]byte{} {
			topic.TopicID = [16]byte{0xff}
		}
	} else {
		topic.Topic = name.Topic
	}
	req.Topics = append(req.Topics, topic)
}

func (h *history) describeAlterations(req *kmsg.AlterPartitionRequest, resp *kmsg.AlterPartitionResponse) {
	h.peers.flush()
	if resp.ErrorCode != 0 {
		fmt.Fprintf(&h.out, "answer %s\n", codeName(resp.ErrorCode))
	}
	for i, t := range resp.Topics {
		name := t.Topic
		if resp.Version >= alterByID {
			name = "unknown id"
			for known, id := range h.ids {
				if id == t.TopidID {
					name = known
				}
			}
		}
		if (t.Topic == "") != (resp.Version >= alterByID) || t.TopidID != req.Topics[i].TopicID {
			fmt.Fprintf(&h.out, "answer does not name the topic: %+v\n", t)
		}
		for _, p := range t.Partitions {
			fmt.Fprintf(&h.out, "answer %s-%d %s", name, p.Partition, codeName(p.ErrorCode))
			if p.ErrorCode == 0 {
				fmt.Fprintf(&h.out, " leader %d epoch %d isr %s version %d", p.LeaderID, p.LeaderEpoch, ids(p.ISR), p.PartitionEpoch)
			}
			if p.LeaderRecoveryState != 0 {
				fmt.Fprint(&h.out, " recovering")
			}
			fmt.Fprintln(&h.out)
		}
	}
}

func (h *history) elect(t *testing.T, d *datadriven.TestData) error {
	kind := Preferred
	if d.HasArg("unclean") {
		kind = Unclean
	}
	var names []topic.Partition
	for line := range strings.Lines(d.Input) {
		name, err := parsePartition(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	outcomes, err := h.askElection(t.Context(), names, kind)
	h.peers.flush()
	for i, o := range outcomes {
		if o.Err != nil {
			fmt.Fprintf(&h.out, "answer %s %s: %s\n", names[i], o.Err.Message, o.Message)
		} else {
			fmt.Fprintf(&h.out, "answer %s leader %d\n", names[i], o.Leader)
		}
	}
	return err
}

// askElection asks for an election and lets the controller hold it.
func (h *history) askElection(ctx context.Context, names []topic.Partition, kind ElectionKind) (outcomes []Election, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		outcomes, err = h.ElectLeaders(ctx, names, kind)
	}()
	e, ok := h.queue.take(ctx)
	if !ok {
		return nil, ctx.Err()
	}
	if failed := e.run(ctx); failed != nil {
		fmt.Fprintf(&h.out, "error: %v\n", failed)
	}
	<-done
	return outcomes, err
}

// takeProducerIDs takes blocks as zkutil does.
func (h *history) takeProducerIDs(_ context.Context, broker int32) (zkutil.ProducerIDBlock, error) {
	n := h.zk.nodes[zkutil.ProducerIDBlockPath]
	if n == nil {
		return zkutil.ProducerIDBlock{}, zkutil.ErrNoNode
	}
	next := zkutil.ProducerIDBlock{Broker: broker, Last: zkutil.ProducerIDBlockSize - 1}
	if n.data != nil {
		last, err := zkutil.DecodeProducerIDBlock(n.data)
		if err != nil {
			return last, err
		}
		next.First, next.Last = last.Last+1, last.Last+zkutil.ProducerIDBlockSize
	}
	return next, h.setUnfenced(zkutil.ProducerIDBlockPath, next.Encode(), n.stat.Version)
}

func (h *history) setFeatures(_ context.Context, data []byte, version int32) error {
	return h.setUnfenced(zkutil.FeaturePath, data, version)
}

// setUnfenced is a write that is not guarded by the controller's epoch.
func (h *history) setUnfenced(path string, data []byte, version int32) error {
	w := write{kind: setNode, path: path, data: data, version: version}
	h.zk.before(&w)
	o := h.zk.write(&w)
	h.zk.record(&w, o)
	return o.err
}

func (h *history) allocate(t *testing.T, d *datadriven.TestData) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	d.ScanArgs(t, "broker", &req.BrokerID)
	d.ScanArgs(t, "epoch", &req.BrokerEpoch)
	h.AllocateProducerIDs(req, func(resp *kmsg.AllocateProducerIDsResponse) {
		fmt.Fprintf(&h.out, "answer %s: %d from %d on\n", codeName(resp.ErrorCode), resp.ProducerIDLen, resp.ProducerIDStart)
	})
}

func (h *history) updateFeatures(t *testing.T, d *datadriven.TestData) error {
	var updates []FeatureUpdate
	for line := range strings.Lines(d.Input) {
		var u FeatureUpdate
		if _, err := fmt.Sscanf(strings.TrimSpace(line), "%q level=%d type=%d", &u.Feature, &u.Level, &u.Type); err != nil {
			return err
		}
		updates = append(updates, u)
	}
	results, err := h.term.core.updateFeatures(t.Context(), updates, d.HasArg("dry"))
	for i, r := range results {
		if r.Err != nil {
			fmt.Fprintf(&h.out, "answer %q %s: %s\n", updates[i].Feature, r.Err.Message, r.Message)
		} else {
			fmt.Fprintf(&h.out, "answer %q ok\n", updates[i].Feature)
		}
	}
	return err
}
