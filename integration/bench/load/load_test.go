package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/bench/bare"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFramesHoldValidBatches(t *testing.T) {
	tests := []struct {
		name             string
		spec             Spec
		least            int // bytes of a batch
		moreThan1, ratio bool
	}{
		{"one record", Spec{RecordBytes: 1024}, 1024, false, false},
		{"16 KiB", Spec{RecordBytes: 1024, BatchBytes: 16 << 10}, 15 << 10, true, false},
		{"1 MB", Spec{RecordBytes: 1024, BatchBytes: 1 << 20}, 1022 << 10, true, false},
		{"small records", Spec{RecordBytes: 100, BatchBytes: 64 << 10}, 63 << 10, true, false},
		{"lz4", Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.LZ4}, 60 << 10, true, true},
		{"zstd", Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.Zstd}, 60 << 10, true, true},
		{"gzip", Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.Gzip}, 60 << 10, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			batches, err := NewBatches("topic", -1, tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if (batches.Ratio > 1.5) != tt.ratio {
				t.Errorf("compressed to 1/%.2f", batches.Ratio)
			}
			t.Logf("%d frames of %d records in %d bytes, compressed to 1/%.2f", len(batches.frames), batches.frames[0].records, batches.BatchBytes(), batches.Ratio)
			for i, f := range batches.frames {
				now := time.Now().UnixMilli() + int64(i)
				f.stamp(int32(i), now)
				checkFrame(t, f, int32(i), now, tt.spec)
				if len(f.batch) < tt.least || (f.records > 1) != tt.moreThan1 {
					t.Errorf("%d records in %d bytes", f.records, len(f.batch))
				}
			}
		})
	}
}

// checkFrame reads the request as a broker does.
func checkFrame(t *testing.T, f *frame, correlation int32, now int64, spec Spec) {
	t.Helper()
	if size := binary.BigEndian.Uint32(f.bytes); int(size) != len(f.bytes)-4 {
		t.Fatalf("size %d in a frame of %d bytes", size, len(f.bytes))
	}
	if got := int32(binary.BigEndian.Uint32(f.bytes[8:])); got != correlation {
		t.Errorf("correlation id %d, want %d", got, correlation)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version = produceVersion
	header := 4 + 2 + 2 + 4 + 2 + len("bench") + 1
	if err := req.ReadFrom(f.bytes[header:]); err != nil {
		t.Fatal(err)
	}
	records := req.Topics[0].Partitions[0].Records
	policy := record.Policy{Compression: record.Producer, MaxMessageBytes: 1048588}
	valid, err := policy.Validate(records, record.Client, now)
	if err != nil {
		t.Fatal(err)
	}
	if int(valid.Count) != f.records || valid.MaxTimestamp != now || len(records) != len(f.batch) {
		t.Errorf("%d records until %d in %d bytes, want %d until %d in %d", valid.Count, valid.MaxTimestamp, len(records),
			f.records, now, len(f.batch))
	}
	most := spec.BatchBytes
	if spec.Codec != record.None {
		most += most / 100
	}
	if most > 0 && len(records) > most {
		t.Errorf("a batch of %d bytes", len(records))
	}
}

func TestPaceHasFramesOfEveryCount(t *testing.T) {
	p, err := NewPace("topic", 1, 1024, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.frames) != 15 {
		t.Errorf("%d frames", len(p.frames))
	}
	for i, f := range p.frames {
		if f.records != i+1 {
			t.Errorf("frame %d has %d records", i, f.records)
		}
	}
}

// startBare starts the bare program within the test.
func startBare(t *testing.T) string {
	server, err := bare.New(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		server.Serve(l)
		close(done)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		server.Close()
	})
	return l.Addr().String()
}

func TestProduceAndFetchOnTheBareProgram(t *testing.T) {
	addr := startBare(t)
	for _, spec := range []Spec{{RecordBytes: 1024}, {RecordBytes: 1024, BatchBytes: 16 << 10}, {RecordBytes: 1024, BatchBytes: 1 << 20}} {
		batches, err := NewBatches("topic", 1, spec)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Produce(t.Context(), addr, batches, Limit{Time: time.Minute, Bytes: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if r.Bytes < 4<<20 || r.Latency.Len() != int(r.Requests) || r.Records < r.Requests {
			t.Errorf("%d requests, %d records, %d bytes, %d latencies", r.Requests, r.Records, r.Bytes, r.Latency.Len())
		}
	}
	for _, size := range []int32{64 << 10, 1 << 20} {
		limit, fetch := Limit{Time: time.Minute, Bytes: 16 << 20}, Fetch{MaxBytes: size, Blind: true}
		if err := fetch.Learn(t.Context(), addr, limit); err != nil {
			t.Fatal(err)
		}
		r, err := fetch.Run(t.Context(), addr, limit)
		if err != nil {
			t.Fatal(err)
		}
		if r.Bytes < limit.Bytes || r.Bytes > limit.Bytes+InFlight*int64(size) || r.Bytes != r.Requests*int64(size) {
			t.Errorf("%d bytes in %d responses of %d", r.Bytes, r.Requests, size)
		}
	}
}

func TestPaceKeepsItsRate(t *testing.T) {
	p, err := NewPace("topic", 1, 1024, 1000)
	if err != nil {
		t.Fatal(err)
	}
	const d = 200 * time.Millisecond
	r, err := p.Run(t.Context(), startBare(t), d)
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != 200 || r.Latency.Len() != 200 || r.Elapsed < d-time.Millisecond {
		t.Errorf("%d records, %d latencies in %v", r.Records, r.Latency.Len(), r.Elapsed)
	}
	if least := r.Latency.Percentile(0); least <= 0 {
		t.Errorf("a record was sent %v too early", -least)
	}
}

func TestProduceEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes requests and answers none
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	batches, err := NewBatches("topic", 1, Spec{RecordBytes: 10})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	read := make(chan error, 1)
	go func() { // ends the context once all requests that may be in flight have come
		defer cancel()
		c, err := l.Accept()
		if err == nil {
			t.Cleanup(func() { c.Close() })
			err = readFrames(c, InFlight)
		}
		read <- err
	}()
	r, err := Produce(ctx, l.Addr().String(), batches, Limit{Time: time.Minute, Bytes: 1 << 20})
	if !errors.Is(err, context.Canceled) || r.Requests != InFlight {
		t.Errorf("%d requests were sent, %v", r.Requests, err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

func readFrames(r io.Reader, n int) error {
	for range n {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			return err
		}
	}
	return nil
}

func TestWalkRefusesWhatABrokerMustNotSend(t *testing.T) {
	batch, err := Spec{RecordBytes: 10, BatchBytes: 400}.batch(newRandom(), 3)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(append([]byte(nil), batch...), batch[:20]...)
	broken := append([]byte(nil), batch...)
	broken[len(broken)-1]++
	tests := []struct {
		name    string
		records []byte
		next    int64
		bytes   int
		ok      bool
	}{
		{"a batch", batch, 0, len(batch), true},
		{"from its middle", batch, 2, len(batch), true},
		{"and a part of another", torn, 0, len(batch), true},
		{"nothing whole", batch[:20], 0, 0, false},
		{"another offset", batch, 3, 0, false},
		{"a flipped bit", broken, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, size, err := walk(tt.records, tt.next, true)
			if (err == nil) != tt.ok || size != tt.bytes || tt.ok && next != 3 {
				t.Errorf("next %d after %d bytes, %v", next, size, err)
			}
		})
	}
}

func TestLateness(t *testing.T) {
	const naps = 20
	late := Lateness(t.Context(), naps*time.Millisecond)
	if n := late.Len(); n < 1 || n > naps || late.Percentile(0) < 0 {
		t.Errorf("%d sleeps within %d ms, one of them late by %v", n, naps, late.Percentile(0))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := Lateness(ctx, time.Hour).Len(); n != 0 {
		t.Errorf("%d sleeps for nobody", n)
	}
}
