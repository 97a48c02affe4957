package fetch

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// codes lists the partitions' errors.
func codes(resp *kmsg.FetchResponse) (codes []int16) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	return codes
}

// A consumer of a topic that is gone must not turn into a busy loop because of it.
func TestUnknownTopicsHurryNobody(t *testing.T) {
	for _, version := range []int16{12, 13} {
		b := fixture.New(t)
		id := b.Topic(t, "orders", 1, []int32{1}, nil)
		h := handler(t, b)
		req := fetchRequest(version, "orders", id, 0, 0)
		req.Topics = append(req.Topics, fetchRequest(version, "gone", topic.NewID(), 0, 0).Topics...)
		req.MaxWaitMillis = 60_000
		waiting := fixture.Send(h, req, "c")
		if !waiting.Pending() {
			t.Fatalf("v%d: answered at once", version)
		}
		write(t, b, "orders", 0, 1, 1)
		resp := kmsg.NewPtrFetchResponse()
		waiting.Wait(t, version, resp)
		want := map[int16]int16{12: 3, 13: 100}[version]
		if got := codes(resp); len(got) != 2 || got[0] != 0 || got[1] != want {
			t.Errorf("v%d: errors %v, want none and %d", version, got, want)
		}
		req.Topics = req.Topics[1:]
		if got := codes(fetch(t, h, req)); len(got) != 1 || got[0] != want {
			t.Errorf("v%d: errors %v, want %d at once", version, got, want)
		}
	}
}

// A topic leaves the metadata before its replicas are deleted: from then on nobody reads it.
func TestTopicBeingDeleted(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(t, b)
	req := fetchRequest(13, "orders", id, 0, 0)
	req.MaxWaitMillis = 60_000
	waiting := fixture.Send(h, req, "c")
	b.Delete(t, "orders", 1)
	resp := kmsg.NewPtrFetchResponse()
	waiting.Wait(t, 13, resp)
	if got := codes(resp); len(got) != 1 || got[0] != 3 {
		t.Errorf("waiting: errors %v, want UNKNOWN_TOPIC_OR_PARTITION", got)
	}
	for version, want := range map[int16]int16{12: 3, 13: 100} {
		if got := codes(fetch(t, h, fetchRequest(version, "orders", id, 0, 0))); len(got) != 1 || got[0] != want {
			t.Errorf("v%d: errors %v, want %d", version, got, want)
		}
	}
}

// A session keeps the name that it found for an id: the client hears that the topic is another one.
func TestSessionOfARecreatedTopic(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(t, b)
	req := fetchRequest(13, "orders", id, 0, 0)
	req.SessionEpoch = initialEpoch
	req.SessionID = fetch(t, h, req).SessionID
	next := func() []int16 {
		req.SessionEpoch, req.Topics = nextEpoch(req.SessionEpoch), nil
		return codes(fetch(t, h, req))
	}
	b.Delete(t, "orders", 1)
	if got := next(); len(got) != 1 || got[0] != 3 {
		t.Errorf("deleted: errors %v, want UNKNOWN_TOPIC_OR_PARTITION", got)
	}
	b.Topic(t, "orders", 1, []int32{1}, nil)
	if got := next(); len(got) != 1 || got[0] != 103 {
		t.Errorf("made anew: errors %v, want INCONSISTENT_TOPIC_ID", got)
	}
}

func TestFailedLogDirectory(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	h := handler(t, b)
	b.FailDir()
	for version, want := range map[int16]int16{5: 6, 6: 56, 12: 56, 13: 56} {
		req := fetchRequest(version, "orders", id, 0, 0)
		req.MaxWaitMillis = 60_000 // at the log's end, where nothing is read from the disk
		if got := codes(fetch(t, h, req)); len(got) != 1 || got[0] != want {
			t.Errorf("v%d: errors %v, want %d", version, got, want)
		}
	}
}

// Old clients give no limit for the whole answer, which then is the broker's.
func TestOldClientsAreBoundedByTheBroker(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 4, []int32{1}, nil)
	for i := range int32(4) {
		write(t, b, "orders", i, 4, 10)
	}
	h := handler(t, b)
	h.MaxBytes = 5000
	n := 0
	for _, p := range fetch(t, h, fetchRequest(2, "orders", topic.ID{}, 0, 0, 1, 2, 3)).Topics[0].Partitions {
		n += len(p.RecordBatches)
	}
	if n == 0 || n > 2*h.MaxBytes {
		t.Errorf("%d bytes of records with fetch.max.bytes %d", n, h.MaxBytes)
	}
}

// Records that an old client may not get are an error, but none that makes it ask at once again.
func TestUnreadableRecordsHurryNobody(t *testing.T) {
	tests := []struct {
		name    string
		version int16
		change  func(*storage.LogConfig)
		want    int16
	}{
		{"down-conversion is disabled", 3, func(c *storage.LogConfig) { c.DownConversion = false }, 35},
		{"the topic is compressed with zstd", 9, func(c *storage.LogConfig) { c.Policy.Compression = record.Zstd }, 76},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := fixture.New(t)
			b.Topic(t, "orders", 1, []int32{1}, tt.change)
			h := handler(t, b)
			req := fetchRequest(tt.version, "orders", topic.ID{}, 0, 0)
			if got := codes(fetch(t, h, req)); got[0] != tt.want {
				t.Errorf("without records: error %d, want %d", got[0], tt.want)
			}
			req.MaxWaitMillis = 60_000
			waiting := fixture.Send(h, req, "c")
			if !waiting.Pending() {
				t.Fatal("answered at once")
			}
			write(t, b, "orders", 0, 1, 1)
			resp := kmsg.NewPtrFetchResponse()
			waiting.Wait(t, tt.version, resp)
			if got := resp.Topics[0].Partitions[0]; got.ErrorCode != tt.want || len(got.RecordBatches) > 0 {
				t.Errorf("with records: %+v, want error %d", got, tt.want)
			}
		})
	}
}
