package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestProduceRequestAgreesWithKmsg(t *testing.T) {
	rng := seed.Rand(t)
	r := AcquireProduceRequest()
	defer r.Release()
	for version := int16(0); version <= 11; version++ {
		for range 100 {
			body := randomRequest(rng, KeyProduce, version).AppendTo(nil)
			k := kmsg.NewPtrProduceRequest()
			k.SetVersion(version)
			if err := k.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			want := &ProduceRequest{Version: version, Transactional: k.TransactionID != nil,
				TransactionalID: deref(k.TransactionID), Acks: k.Acks, Timeout: k.TimeoutMillis}
			n := 0
			for _, kt := range k.Topics {
				pt := ProduceTopic{Name: kt.Topic}
				for _, p := range kt.Partitions {
					pt.Partitions = append(pt.Partitions, ProducePartition{p.Partition, p.Records})
					n++
				}
				want.Topics = append(want.Topics, pt)
			}
			if err := r.Parse(version, append(body, "trailing"...)); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			ignore := cmpopts.IgnoreUnexported(ProduceRequest{})
			if diff := cmp.Diff(want, r, ignore, cmpopts.EquateEmpty()); diff != "" || r.NumPartitions() != n {
				t.Fatalf("v%d: %d partitions of %d; -kmsg +wire\n%s", version, r.NumPartitions(), n, diff)
			}
			for end := range body {
				if err := r.Parse(version, body[:end]); !errors.Is(err, ErrTruncated) {
					t.Fatalf("v%d: %d of %d bytes: %v", version, end, len(body), err)
				}
			}
		}
	}
	if err := r.Parse(12, nil); !errors.Is(err, ErrUnsupportedVersion) {
		t.Errorf("v12: %v", err)
	}
}

func TestProduceRequestKeepsNullRecordsApart(t *testing.T) {
	for _, version := range []int16{3, 9} {
		k := kmsg.NewPtrProduceRequest()
		k.Version = version
		kt := kmsg.NewProduceRequestTopic()
		kt.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: nil}, {Records: []byte{}}}
		k.Topics = append(k.Topics, kt)
		var r ProduceRequest
		if err := r.Parse(version, k.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		if p := r.Topics[0].Partitions; p[0].Records != nil || p[1].Records == nil {
			t.Errorf("v%d: null is %v, empty is %v", version, p[0].Records, p[1].Records)
		}
	}
}

func randomProduceResponse(rng *rand.Rand, r *ProduceResponse, k *kmsg.ProduceResponse) {
	r.Throttle = rng.Int32()
	k.ThrottleMillis = r.Throttle
	maybe := func() (string, *string) {
		if rng.IntN(2) == 0 {
			return "", nil
		}
		s := fmt.Sprintf("%0*d", 1+rng.IntN(200), 7)
		return s, &s
	}
	for range rng.IntN(4) {
		kt := kmsg.NewProduceResponseTopic()
		kt.Topic = fmt.Sprintf("%0*d", 1+rng.IntN(200), 7)
		r.Topic(kt.Topic)
		for range rng.IntN(4) {
			kp := kmsg.NewProduceResponseTopicPartition()
			kp.Partition = rng.Int32()
			r.Partition(kp.Partition)
			p := r.At(r.Len() - 1)
			p.ErrorCode, p.BaseOffset, p.LogAppendTime = int16(rng.IntN(100)), rng.Int64(), rng.Int64()
			p.LogStartOffset = rng.Int64()
			kp.ErrorCode, kp.BaseOffset, kp.LogAppendTime = p.ErrorCode, p.BaseOffset, p.LogAppendTime
			kp.LogStartOffset = p.LogStartOffset
			p.ErrorMessage, kp.ErrorMessage = maybe()
			for range rng.IntN(3) {
				e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				e.RelativeOffset = rng.Int32()
				var message string
				message, e.ErrorMessage = maybe()
				p.RecordErrors = append(p.RecordErrors, ProducedError{e.RelativeOffset, message})
				kp.ErrorRecords = append(kp.ErrorRecords, e)
			}
			if rng.IntN(2) == 0 {
				p.Leader = LeaderEpoch{rng.Int32(), rng.Int32()}
				if k.Version >= 10 {
					kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = p.Leader.ID, p.Leader.Epoch
				}
			}
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	if rng.IntN(2) == 0 {
		e := NodeEndpoint{ID: rng.Int32(), Host: "host", Port: rng.Int32()}
		b := kmsg.ProduceResponseBroker{NodeID: e.ID, Host: e.Host, Port: e.Port}
		e.Rack, b.Rack = maybe()
		r.Endpoints = append(r.Endpoints, e)
		if k.Version >= 10 {
			k.Brokers = append(k.Brokers, b)
		}
	}
}

func TestProduceResponseHasTheBytesOfKmsg(t *testing.T) {
	rng := seed.Rand(t)
	for version := int16(0); version <= 11; version++ {
		for range 200 {
			r, k := NewProduceResponse(version), kmsg.NewProduceResponse()
			k.Version = version
			randomProduceResponse(rng, r, &k)
			got, want := r.AppendTo([]byte("head")), k.AppendTo([]byte("head"))
			if !bytes.Equal(got, want) {
				t.Fatalf("v%d:\n%x, want\n%x", version, got, want)
			}
			r.Recycle()
		}
	}
}

func TestProduceAllocatesNothing(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 11
	kt := kmsg.NewProduceRequestTopic()
	kt.Topic = "orders"
	kt.Partitions = make([]kmsg.ProduceRequestTopicPartition, 100)
	req.Topics = append(req.Topics, kt)
	body := req.AppendTo(nil)
	buf := make([]byte, 0, 1<<16)
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	n := testing.AllocsPerRun(100, func() {
		r := AcquireProduceRequest()
		if err := r.Parse(11, body); err != nil {
			t.Fatal(err)
		}
		resp := NewProduceResponse(11)
		for _, pt := range r.Topics {
			resp.Topic(pt.Name)
			for _, p := range pt.Partitions {
				resp.Partition(p.Index).BaseOffset = 1
			}
		}
		r.Release()
		buf = resp.AppendTo(buf[:0])
		resp.Recycle()
	})
	if n >= 1 {
		t.Errorf("%v allocations for a produce to 100 partitions, want none", n)
	}
}

func TestInternForgetsWhenFull(t *testing.T) {
	for i := range 3 * internShards * internEntries {
		if name := fmt.Sprintf("topic-%d", i); Intern([]byte(name)) != name {
			t.Fatalf("Intern(%q) is another string", name)
		}
	}
	for i := range internTable {
		if n := len(internTable[i].mu.names); n > internEntries {
			t.Errorf("shard %d keeps %d names", i, n)
		}
	}
}

func FuzzProduceRequest(f *testing.F) {
	rng := seed.Rand(f)
	for v := int16(0); v <= 11; v++ {
		f.Add(v, randomRequest(rng, KeyProduce, v).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r ProduceRequest // with no memory of others
		if r.Parse(version, body) == nil && cap(r.partitions) > 16+len(body) {
			t.Errorf("%d bytes took memory for %d partitions", len(body), cap(r.partitions))
		}
	})
}

func BenchmarkProduceRequest(b *testing.B) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 11
	kt := kmsg.NewProduceRequestTopic()
	kt.Topic = "orders"
	kt.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 1024)}}
	req.Topics = append(req.Topics, kt)
	body := req.AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		r := AcquireProduceRequest()
		if err := r.Parse(11, body); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
