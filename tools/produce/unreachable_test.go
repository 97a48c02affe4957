package produce

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// lost returns a producer that knows its topic, and whose brokers are gone.
func lost(t *testing.T, s settings) (*producer, *strings.Builder) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"), kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}))
	if err != nil {
		t.Fatal(err)
	}
	s.batchSize, s.maxRequestSize, s.bufferMemory, s.retries, s.metadata = 100, 1000, 1<<20, 1<<30, time.Minute
	s.delivery, s.request, s.maxBlock, s.backoff = 2*time.Minute, 30*time.Second, time.Minute, 100*time.Millisecond
	p, log := testProducer(s)
	p.client = cl
	p.mu.topic = topicMetadata{count: 2, leaders: map[int32]int32{0: 1, 1: 1}, read: time.Now()}
	return p, log
}

const expired = "org.apache.kafka.common.errors.TimeoutException: Expiring 1 record(s) for t-%:120000 ms has passed since batch creation\n"

// TestBrokersAreGone: what could not be delivered within delivery.timeout.ms has failed, however much waits for each partition.
func TestBrokersAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := lost(t, settings{})
		start := time.Now()
		p.nodes = nodes{first: 50 * time.Millisecond, last: time.Second}
		const lines = 20 // each fills a batch
		reader := newLineReader(strings.NewReader(strings.Repeat(strings.Repeat("v", 90)+"\n", lines)), format{}, nil)
		if err := drive(t.Context(), p, reader, false); err != nil {
			t.Error(err)
		}
		p.refreshing.Wait()
		p.client.Close()
		if took := time.Since(start); took != 2*time.Minute {
			t.Errorf("ended after %v, want delivery.timeout.ms", took)
		}
		said := strings.Count(log.String(), strings.ReplaceAll(expired, "%", "0")) + strings.Count(log.String(), strings.ReplaceAll(expired, "%", "1"))
		if said != lines {
			t.Errorf("%d records are said to have failed, want %d:\n%s", said, lines, log)
		}
	})
}

// TestStaleMetadata: nobody waits for what is known already, be it old.
func TestStaleMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := lost(t, settings{linger: time.Hour})
		time.Sleep(2 * p.settings.metadata)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		for range 5 {
			if _, err := p.send(ctx, &record{value: []byte("v")}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("waited for %v", took)
		}
		cancel()
		p.refreshing.Wait()
		p.close()
		p.client.Close()
	})
}

// TestInterrupt: a signal ends the reading of lines at once, whatever is waited for, and what was read is still sent.
func TestInterrupt(t *testing.T) {
	for _, name := range []string{"for a line", "for metadata", "for memory"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, log := lost(t, settings{})
				switch name {
				case "for metadata":
					p.mu.topic = topicMetadata{}
				case "for memory":
					p.memory = semaphore.NewWeighted(300) // for one batch
				}
				in, out := io.Pipe()
				go io.WriteString(out, strings.Repeat(strings.Repeat("v", 90)+"\n", 3))
				ctx, cancel := context.WithCancelCause(t.Context())
				start := time.Now()
				time.AfterFunc(time.Second, func() { cancel(tool.Exit(130)) })
				err := drive(ctx, p, newLineReader(in, format{}, nil), false)
				if !errors.Is(err, tool.Exit(130)) {
					t.Errorf("ended with %v", err)
				}
				in.Close()
				p.refreshing.Wait()
				p.client.Close()
				want := 2 * time.Minute // the batches expire
				if name == "for metadata" {
					want = time.Second
				}
				if took := time.Since(start); took != want {
					t.Errorf("ended after %v, want %v\n%s", took, want, log)
				}
			})
		})
	}
}

// TestTransactionalID: Kafka's tool has its record in a batch when it finds out that it has begun no transaction, and ends when
// the batch has expired.
func TestTransactionalID(t *testing.T) {
	for _, kafka := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p, log := lost(t, settings{transactional: true})
			p.env.Kafka = kafka
			start := time.Now()
			err := drive(t.Context(), p, newLineReader(strings.NewReader("a\nb\n"), format{}, nil), false)
			p.client.Close()
			const refusal = "to transaction before completing a call to initTransactions"
			if e := throwable.From(err); !strings.HasSuffix(e.Message, refusal) || kafka && !strings.HasPrefix(e.Message, "Cannot add partition t-") {
				t.Errorf("ended with %v", err)
			}
			waited, said := time.Since(start), strings.Count(log.String(), "Expiring 1 record(s) for t-")
			if kafka && (waited != 2*time.Minute || said != 1) || !kafka && (waited != 0 || said != 0) {
				t.Errorf("kafka %v: ended after %v:\n%s", kafka, waited, log)
			}
		})
	}
}

// TestOneSenderTriesAgain: a broker that is gone is tried by one sender, after a while, and not by all of them at once.
func TestOneSenderTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodes{first: 50 * time.Millisecond, last: time.Second}
		for range 3 { // each was at it before it was known
			if !n.mayTry(1) {
				t.Error("a broker cannot be tried that nobody has missed")
			}
		}
		for range 3 {
			n.tried(1, false)
		}
		var tries []time.Duration
		for start := time.Now(); time.Since(start) < 4*time.Second; time.Sleep(10 * time.Millisecond) {
			for range 1000 {
				if n.mayTry(1) {
					tries = append(tries, time.Since(start))
					n.tried(1, false)
				}
			}
		}
		want := []time.Duration{50, 100, 200, 400, 800, 1600, 2600, 3600}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		if !n.mayTry(2) {
			t.Error("another broker is lost, too")
		}
		n.tried(1, true)
		for range 2 {
			if !n.mayTry(1) {
				t.Error("a broker that was reached is still lost")
			}
		}
	})
}
