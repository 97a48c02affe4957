package produce

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"golang.org/x/sync/semaphore"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewSettings(t *testing.T) {
	tests := []struct {
		properties string
		want       string
	}{
		{"", "acks=-1 idempotent=true batch=262144"},
		{"acks=all", "acks=-1 idempotent=true batch=262144"},
		{"acks=1", "acks=1 idempotent=false batch=262144"},
		{"acks=0 batch.size=1000", "acks=0 idempotent=false batch=1000"},
		{"retries=0", "acks=-1 idempotent=false batch=262144"},
		{"enable.idempotence=false", "acks=-1 idempotent=false batch=262144"},
		{"batch.size=0", "acks=-1 idempotent=true batch=1"},
		{"acks=1 enable.idempotence=true", "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."},
		{"retries=0 enable.idempotence=true", "Must set retries to non-zero when using the idempotent producer."},
		{"retries=0 acks=0 enable.idempotence=true", "Must set retries to non-zero when using the idempotent producer."},
		{"max.in.flight.requests.per.connection=5 enable.idempotence=true", "acks=-1 idempotent=true batch=262144"},
		{"max.in.flight.requests.per.connection=6 enable.idempotence=true",
			"Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."},
		{"max.in.flight.requests.per.connection=6", "acks=-1 idempotent=false batch=262144 " +
			"[1970-01-01 00:00:00,000] WARN Idempotence will be disabled because max.in.flight.requests.per.connection is set to 6, " +
			"which is greater than 5. Please note that in v4.0.0 and onward, this will become an error. " +
			"(org.apache.kafka.clients.producer.ProducerConfig)\n"},
		{"transactional.id=x", "acks=-1 idempotent=true batch=262144"},
		{"transactional.id=x enable.idempotence=false", "Cannot set a transactional.id without also enabling idempotence."},
		{"transactional.id=x acks=1", "Cannot set a transactional.id without also enabling idempotence."},
		{"delivery.timeout.ms=100 linger.ms=10 request.timeout.ms=90", "acks=-1 idempotent=true batch=262144"},
		{"delivery.timeout.ms=100 linger.ms=11 request.timeout.ms=90", "Failed to construct kafka producer: " +
			"delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"},
		{"linger.ms=9223372036854775807", "acks=-1 idempotent=true batch=262144 [1970-01-01 00:00:00,000] WARN [Producer clientId=] " +
			"delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms. Setting it to 2147483647. " +
			"(org.apache.kafka.clients.producer.KafkaProducer)\n"},
	}
	for _, tt := range tests {
		config, err := clientconf.New(clientconf.Producer, clientconf.ParsePairs(strings.Fields(tt.properties)))
		if err != nil {
			t.Fatal(err)
		}
		env, log := testEnv()
		s, err := newSettings(env, config)
		if err == nil {
			err = s.checkDelivery(env, config)
		}
		got := strings.TrimSuffix(fmt.Sprintf("acks=%d idempotent=%v batch=%d %s", s.acks, s.idempotent, s.batchSize, log), " ")
		if err != nil {
			got = err.Error()
			if cause := errors.Unwrap(err); cause != nil {
				got += ": " + cause.Error()
			}
		}
		if got != tt.want {
			t.Errorf("%q gives %q, want %q", tt.properties, got, tt.want)
		}
	}
}

// TestOptionsBecomeProperties checks which of file, property and option wins, and when defaults do.
func TestOptionsBecomeProperties(t *testing.T) {
	tests := []struct{ args, name, want string }{
		{"", "linger.ms", "1000"},
		{"", "acks", "-1"},
		{"", "batch.size", ""},
		{"", "compression.type", "none"},
		{"", "client.id", "console-producer"},
		{"--timeout 5", "linger.ms", "5"},
		{"--producer-property linger.ms=7", "linger.ms", "7"},
		{"--producer-property linger.ms=7 --timeout 5", "linger.ms", "5"},
		{"--batch-size 100", "batch.size", "100"},
		{"--batch-size 100 --max-partition-memory-bytes 200", "batch.size", "200"},
		{"--compression-codec", "compression.type", "gzip"},
		{"--compression-codec zstd", "compression.type", "zstd"},
		{"--producer-property client.id=me", "client.id", "me"},
		{"--broker-list c:3", "bootstrap.servers", "a:1,b:2"},
		{"--batch-size x", "batch.size", "Cannot parse argument 'x' of option batch-size"},
	}
	for _, tt := range tests {
		set, err := options().Parse(strings.Fields("--bootstrap-server a:1,b:2 --topic t " + tt.args))
		if err != nil {
			t.Fatal(err)
		}
		properties, err := producerProperties(set)
		got := properties[tt.name]
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q gives %s=%q, want %q", tt.args, tt.name, got, tt.want)
		}
	}
}

func testEnv() (*tool.Env, *strings.Builder) {
	var log strings.Builder
	return &tool.Env{Stdout: &log, Stderr: &log, Now: func() time.Time { return time.Unix(0, 0).UTC() }}, &log
}

func testProducer(s settings) (*producer, *strings.Builder) {
	env, log := testEnv()
	s.memory = max(s.memory, 1<<20)
	return newProducer(env, nil, "t", s), log
}

// TestTooLarge checks which records are refused because buffer.memory could not hold them, and what ends the tool.
func TestTooLarge(t *testing.T) {
	for _, tt := range []struct {
		memory  int64
		batch   int
		record  int
		want    string
		endsAll bool
	}{
		{memory: 100, batch: 100, record: 86},
		{memory: 100, batch: 10, record: 100},
		{memory: 100, batch: 10, record: 101, want: "The message is 101 bytes when serialized which is larger than the total memory " +
			"buffer you have configured with the buffer.memory configuration."},
		{memory: 100, batch: 101, record: 86, want: "Attempt to allocate 101 bytes, but there is a hard limit of 100 on memory allocations.",
			endsAll: true},
	} {
		p, _ := testProducer(settings{bufferMemory: tt.memory, nominalBatch: tt.batch})
		err := p.checkMemory(tt.record)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if _, endsAll := errors.AsType[uncaught](err); got != tt.want || endsAll != tt.endsAll {
			t.Errorf("%+v gives %q, %v", tt, got, endsAll)
		}
	}
}

// TestPartitioner checks what each partitioner makes of keys.
func TestPartitioner(t *testing.T) {
	known := topicMetadata{count: 3, leaders: map[int32]int32{0: 1, 2: 1}}
	for _, tt := range []struct {
		properties string
		want       string // partitions of the keys a, b, c, d; or alike, for the same one, any
	}{
		{"", "1 2 1 2"},
		{"partitioner.class=" + clientconf.DefaultPartitioner, "1 2 1 2"},
		{"partitioner.class=" + clientconf.RoundRobinPartitioner, "0 2 0 2"},
		{"partitioner.class=" + clientconf.UniformStickyPartitioner, "alike"},
		{"partitioner.ignore.keys=true", "alike"},
	} {
		config, err := clientconf.New(clientconf.Producer, clientconf.ParsePairs(strings.Fields(tt.properties)))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := testProducer(settings{partitioner: newPartitioner(config)})
		var parts []string
		for _, key := range []string{"a", "b", "c", "d"} {
			parts = append(parts, fmt.Sprint(p.choose(&record{key: []byte(key)}, known)))
		}
		got := strings.Join(parts, " ")
		if got == "0 0 0 0" || got == "2 2 2 2" {
			got = "alike"
		}
		if got != tt.want {
			t.Errorf("%q gives %s, want %s", tt.properties, got, tt.want)
		}
	}
}

// TestLinger checks when a batch is handed to its sender: when it is full, when it has lingered, at close.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := testProducer(settings{batchSize: 250, linger: time.Second, maxBlock: time.Second})
		partition := newPartition(p, 0)
		taken := make(chan int)
		go func() {
			defer close(taken)
			for b := partition.next(); b != nil; b = partition.next() {
				taken <- b.count
			}
		}()
		add := func() {
			if _, err := partition.add(t.Context(), &record{value: make([]byte, 50)}); err != nil {
				t.Error(err)
			}
		}
		start := time.Now()
		for range 4 { // three fill a batch
			add()
		}
		if n := <-taken; n != 3 || time.Since(start) != 0 {
			t.Errorf("%d records were taken after %v, want the 3 of a full batch at once", n, time.Since(start))
		}
		if n := <-taken; n != 1 || time.Since(start) != time.Second {
			t.Errorf("%d records were taken after %v, want 1 after lingering 1s", n, time.Since(start))
		}
		add()
		partition.flush()
		if n := <-taken; n != 1 || time.Since(start) != time.Second {
			t.Errorf("%d records were taken after %v, want 1 at once", n, time.Since(start))
		}
		add()
		partition.close()
		if n := <-taken; n != 1 {
			t.Errorf("%d records were taken at close, want 1", n)
		}
		if n, open := <-taken; open {
			t.Errorf("%d records came after close", n)
		}
	})
}

// TestBatchesGrow: a batch takes the memory that its records need, and is sent as it is when there is no more.
func TestBatchesGrow(t *testing.T) {
	const limit = 64 << 10
	p, _ := testProducer(settings{batchSize: limit, linger: time.Hour, maxBlock: time.Second})
	first, second := newPartition(p, 0), newPartition(p, 1)
	add := func(to *partition) *batch {
		t.Helper()
		b, err := to.add(t.Context(), &record{value: make([]byte, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p.memory = semaphore.NewWeighted(limit + firstSize)
	grown, small := add(first), add(second)
	if grown.reserved != firstSize || small.reserved != firstSize {
		t.Errorf("reserved %d and %d bytes for a record each", grown.reserved, small.reserved)
	}
	for range 50 {
		if add(first) != grown {
			t.Fatal("another batch was begun before the first was full")
		}
	}
	if grown.reserved != limit || grown.count != 51 {
		t.Errorf("reserved %d bytes for %d records", grown.reserved, grown.count)
	}
	for range 2 {
		add(second)
	}
	if p.memory.TryAcquire(1) {
		t.Error("memory is left")
	}
	p.memory.Release(firstSize) // for one more
	if next := add(second); next == small || len(second.mu.full) != 1 {
		t.Error("a batch that cannot grow was not handed over")
	}
}

// TestMemory checks that a full memory flushes what is open and that waiting for it ends.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := testProducer(settings{batchSize: 1 << 20, nominalBatch: 16384, linger: time.Hour, maxBlock: time.Second})
		p.memory = semaphore.NewWeighted(firstSize)
		first := newPartition(p, 0)
		p.partitions[0] = first
		b, err := first.add(t.Context(), &record{value: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = newPartition(p, 1).add(t.Context(), &record{value: []byte("x")})
		if err == nil || err.Error() != "Failed to allocate 16384 bytes within the configured max blocking time 1000 ms." {
			t.Errorf("got %v", err)
		}
		if first.next() != b {
			t.Error("the open batch was not flushed")
		}
		p.memory.Release(b.reserved)
		if _, err := newPartition(p, 1).add(t.Context(), &record{value: []byte("x")}); err != nil {
			t.Error(err)
		}
	})
}

func TestChoose(t *testing.T) {
	p, _ := testProducer(settings{})
	known := topicMetadata{count: 5, leaders: map[int32]int32{3: 1}}
	for key, want := range map[string]int32{"k1": 2, "k2": 3, "k3": 1, "k4": 0} { // seen of Kafka's producer
		if got := p.choose(&record{key: []byte(key)}, known); got != want {
			t.Errorf("%s goes to partition %d, want %d", key, got, want)
		}
	}
	if got := p.choose(&record{}, known); got != 3 {
		t.Errorf("without a key, the partition is %d, want the one with a leader", got)
	}
	if got := p.choose(&record{}, topicMetadata{count: 5, leaders: map[int32]int32{1: 1}}); got != 3 {
		t.Errorf("the partition changed to %d before its batch was full", got)
	}
}

func TestJudge(t *testing.T) {
	code := func(code int16) error { return throwable.FromCode(code, nil) }
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	tests := []struct {
		name    string
		err     error
		count   int
		retries int
		late    bool
		want    verdict
	}{
		{name: "delivered", want: delivered},
		{name: "sent twice", err: code(46), want: delivered},
		{name: "too large", err: code(10), count: 2, retries: 0, want: splitUp},
		{name: "a record too large", err: code(10), count: 1, retries: 3, want: failed},
		{name: "not the leader", err: code(6), retries: 3, want: again},
		{name: "not the leader, no retries", err: code(6), want: failed},
		{name: "not the leader, too late", err: code(6), retries: 3, late: true, want: failed},
		{name: "connection lost", err: errors.New("EOF"), retries: 1, want: again},
		{name: "refused", err: refused, want: unreached},
		{name: "refused, too late", err: refused, late: true, want: failed},
		{name: "no leader", err: code(5), want: unreached},
		{name: "out of order", err: code(45), retries: 1, want: again},
		{name: "unauthorized", err: code(29), retries: 3, want: failed},
		{name: "canceled", err: context.Canceled, retries: 3, want: failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour)
			if tt.late {
				deadline = time.Now().Add(-time.Hour)
			}
			p, _ := testProducer(settings{})
			s := sender{producer: p}
			if got := s.judge(&batch{count: tt.count}, answer{err: tt.err}, tt.retries, deadline); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestFailureOfRecords checks what is said of each record of a batch in which one is invalid (KIP-467).
func TestFailureOfRecords(t *testing.T) { synctest.Test(t, testFailureOfRecords) }

func testFailureOfRecords(t *testing.T) {
	p, log := testProducer(settings{delivery: 2 * time.Minute})
	s := sender{producer: p, index: 1}
	response := kmsg.NewProduceResponseTopicPartition()
	response.ErrorCode = 87
	bad := kmsg.NewProduceResponseTopicPartitionErrorRecord()
	bad.RelativeOffset, bad.ErrorMessage = 1, kmsg.StringPtr("No key")
	response.ErrorRecords = append(response.ErrorRecords, bad)
	b := newTestBatch([]record{{key: []byte("k"), value: []byte("good")}, {value: []byte("bad!!")}})
	if err := s.fail(b, newAnswer(response), false); err == nil || err.Error() != "No key" {
		t.Errorf("the batch fails with %v", err)
	}
	const line = "[1970-01-01 00:00:00,000] ERROR Error when sending message to topic t with key: %s, value: %s with error: " +
		"(org.apache.kafka.clients.producer.internals.ErrorLoggingCallback)\norg.apache.kafka.common.InvalidRecordException: %s\n"
	want := fmt.Sprintf(line, "1 bytes", "4 bytes", partOfInvalid) + fmt.Sprintf(line, "null", "5 bytes", "No key")
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}

	log.Reset()
	s.identity = identity{1, 2, 3}
	lost := newTestBatch([]record{{value: []byte("x")}})
	lost.created = time.Now().Add(-2 * time.Minute)
	err := s.fail(lost, answer{err: errors.New("EOF")}, false)
	if err == nil || err.Error() != "Expiring 1 record(s) for t-1:120000 ms has passed since batch creation" || s.identity != nobody {
		t.Errorf("a batch without an answer fails with %v, then the identity is %v", err, s.identity)
	}
}

// TestWhatMayBeThereKeepsItsSequence: under the sequence of a batch that the broker may hold, it would take the next one, of as
// many records, for that one: say so, and throw it away.
func TestWhatMayBeThereKeepsItsSequence(t *testing.T) {
	p, _ := testProducer(settings{})
	before := identity{1, 2, 3}
	for _, tt := range []struct {
		name     string
		code     int16
		doubtful bool
		want     identity
	}{
		{"refused", kerr.MessageTooLarge.Code, false, before},
		{"refused after it was sent in vain", kerr.MessageTooLarge.Code, true, nobody},
		{"appended, and not replicated", kerr.NotEnoughReplicasAfterAppend.Code, false, nobody},
		{"appended, and not replicated in time", kerr.RequestTimedOut.Code, false, nobody},
	} {
		s := sender{producer: p, identity: before}
		s.fail(newTestBatch([]record{{value: []byte("x")}}), answer{err: throwable.FromCode(tt.code, nil)}, tt.doubtful)
		if s.identity != tt.want {
			t.Errorf("%s: the next batch is sent as %v, want %v", tt.name, s.identity, tt.want)
		}
	}
}

func TestAdvance(t *testing.T) {
	s := sender{identity: identity{1, 0, 0x7ffffffe}}
	s.advance(&batch{count: 3})
	if s.identity.sequence != 1 {
		t.Errorf("the sequence is %d, want 1: after 2^31-1 comes 0", s.identity.sequence)
	}
	s.identity = nobody
	s.advance(&batch{count: 3})
	if s.identity != nobody {
		t.Errorf("without an identity the sequence is %v", s.identity)
	}
}
