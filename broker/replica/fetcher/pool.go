package fetcher

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/quota"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Options configure a Pool. A zero field takes the default named beside it.
type Options struct {
	BrokerID int32
	// BrokerEpoch returns the epoch of this broker's registration, which leaders are told (KIP-903): required.
	BrokerEpoch func() int64
	// Address returns where a broker listens for other brokers; false if it is not known to be alive: required.
	Address func(broker int32) (string, bool)
	// Dial connects to a broker: interbroker.Dialer with its defaults.
	Dial func(ctx context.Context, addr string) (*interbroker.Conn, error)

	Fetchers          int           // loops per leader (num.replica.fetchers): 1
	MaxWait           time.Duration // replica.fetch.wait.max.ms: 500 ms
	MinBytes          int           // replica.fetch.min.bytes: 1
	MaxBytes          int           // of an answer (replica.fetch.response.max.bytes): 10 MiB
	PartitionMaxBytes int           // replica.fetch.max.bytes: 1 MiB
	BackOff           time.Duration // longest pause after an error (replica.fetch.backoff.ms): 1 s

	Throttle *quota.Replication // follower.replication.throttled.rate: no throttle

	Logger logrus.FieldLogger // required
}

// Pool copies partitions. It implements replica.Followers.
type Pool struct {
	opts   Options
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		ctx      context.Context // of loops; nil once closed
		sealed   bool
		fetchers int // loops per leader
		loops    map[source]*loop
		of       map[topic.Partition]*loop
	}
}

// source is what a loop copies from: one of the connections to a leader.
type source struct {
	leader int32
	number int
}

// New returns a Pool that copies nothing yet.
func New(opts Options) (*Pool, error) {
	if opts.BrokerEpoch == nil || opts.Address == nil || opts.Logger == nil {
		return nil, errors.New("fetcher: Options is incomplete")
	}
	opts.Fetchers = max(1, opts.Fetchers)
	opts.MaxWait = cmp.Or(opts.MaxWait, 500*time.Millisecond)
	opts.MinBytes = cmp.Or(opts.MinBytes, 1)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, 10<<20)
	opts.PartitionMaxBytes = cmp.Or(opts.PartitionMaxBytes, 1<<20)
	opts.BackOff = cmp.Or(opts.BackOff, time.Second)
	if opts.Dial == nil {
		opts.Dial = new(interbroker.Dialer).Dial
	}
	p := &Pool{opts: opts}
	p.mu.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.fetchers = opts.Fetchers
	p.mu.loops = map[source]*loop{}
	p.mu.of = map[topic.Partition]*loop{}
	return p, nil
}

// Close ends all loops and returns when they are gone. What is offered later is not copied.
func (p *Pool) Close() {
	p.mu.Lock()
	p.mu.ctx = nil
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// Seal makes the Pool copy nothing more than it does now: a partition that is to be followed anew, because it
// has another leader, is not copied any more.
func (p *Pool) Seal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.sealed = true
}

// Follow implements replica.Followers.
func (p *Pool) Follow(what ...replica.Following) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ctx == nil {
		return
	}
	notes := map[*loop][]note{}
	for _, f := range what {
		name := f.Replica.Partition
		if p.mu.sealed {
			if l := p.mu.of[name]; l != nil {
				delete(p.mu.of, name)
				notes[l] = append(notes[l], note{name: name})
			}
			continue
		}
		l := p.loopLocked(p.sourceOfLocked(f.Leader, name))
		if before := p.mu.of[name]; before != nil && before != l {
			notes[before] = append(notes[before], note{name: name})
		}
		p.mu.of[name] = l
		notes[l] = append(notes[l], note{name: name, follow: &f})
	}
	for l, n := range notes {
		l.leave(n)
	}
}

// Unfollow implements replica.Followers.
func (p *Pool) Unfollow(what ...topic.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	notes := map[*loop][]note{}
	for _, name := range what {
		if l := p.mu.of[name]; l != nil {
			delete(p.mu.of, name)
			notes[l] = append(notes[l], note{name: name})
		}
	}
	for l, n := range notes {
		l.leave(n)
	}
}

// sourceOfLocked returns by which connection to leader a partition is copied. It requires mu.
func (p *Pool) sourceOfLocked(leader int32, name topic.Partition) source {
	if p.mu.fetchers == 1 {
		return source{leader: leader}
	}
	h := fnv.New32a()
	h.Write([]byte(name.Topic))
	return source{leader: leader, number: int((h.Sum32() + uint32(name.Index)) % uint32(p.mu.fetchers))}
}

// loopLocked returns the loop of a source, which it starts if there is none. It requires mu.
func (p *Pool) loopLocked(from source) *loop {
	l := p.mu.loops[from]
	if l == nil {
		l = newLoop(p, from)
		p.mu.loops[from] = l
		ctx := p.mu.ctx
		p.wg.Go(func() { l.run(ctx) })
	}
	return l
}

// retire takes a loop that has nothing to copy out of the pool, unless there are notes for it.
func (p *Pool) retire(l *loop) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.hasNotes() {
		return false
	}
	delete(p.mu.loops, l.source)
	return true
}

var _ replica.Followers = (*Pool)(nil)
