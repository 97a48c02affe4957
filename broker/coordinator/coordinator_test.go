package coordinator

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHash(t *testing.T) {
	for id, want := range map[string]int32{"g": 3, "tx": 16, "my-group": 12, "polygenelubricants": 0, "": 0, "\U0001F600": (31*0xd83d + 0xde00) % 50} {
		if got := hash(id) % 50; got != want {
			t.Errorf("group %q belongs to partition %d, want %d", id, got, want)
		}
	}
}

// world is a coordinator with partition 0 of its topic.
type world struct {
	*Coordinator
	t        testing.TB
	replicas *replica.Manager
	epoch    int32
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	disk, err := storage.Open(storage.Options{Dirs: []string{t.TempDir()}, Logger: log, InitialTaskDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c := storage.DefaultLogConfig()
	c.SegmentBytes = 1 << 20
	c.Delete, c.Compact, c.Policy.Compacted = false, true, true
	replicas, err := replica.New(replica.Options{
		BrokerID: 1, Storage: disk, Logger: log,
		TopicConfig: func(string) (storage.LogConfig, error) { return c, nil },
		BrokerEpoch: func() int64 { return 1 },
		Known:       func(topic.Partition) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids atomic.Int64
	opts := Options{
		Replicas: replicas, Partitions: 1, Logger: log, RequiredAcks: -1, LoadBufferBytes: 10_000,
		Groups: group.Config{
			MaxSize: 10, MinSessionTimeoutMs: 10, MaxSessionTimeoutMs: 60000, MaxMetadata: 10,
			NewID: func() string { return fmt.Sprint(ids.Add(1)) },
		},
	}
	if change != nil {
		change(&opts)
	}
	coordinator, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		coordinator.Close()
		replicas.Close()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{Coordinator: coordinator, t: t, replicas: replicas}
}

// become makes this broker, or broker 2, the leader.
func (w *world) become(leader int32, isr ...int32) {
	w.t.Helper()
	w.epoch++
	_, err := w.replicas.Apply(replica.Command{ControllerID: 1, ControllerEpoch: 1, BrokerEpoch: -1}, []replica.PartitionState{{
		Partition: topic.Partition{Topic: topic.ConsumerOffsets}, ControllerEpoch: 1, Leader: leader, LeaderEpoch: w.epoch,
		PartitionEpoch: w.epoch, ISR: isr, Replicas: []int32{1, 2}, IsNew: true,
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	if leader == 1 {
		w.Elected(0, w.epoch)
	} else {
		w.Resigned(0, w.epoch)
	}
}

func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("gave up waiting until %s", what)
		}
	}
}

func (w *world) awaitLoaded() {
	w.t.Helper()
	w.await("the partition is loaded", func() bool { code, _ := w.Fetch("g", nil, false); return code == 0 })
}

func (w *world) commit(groupID string, partition int32, offset int64) int16 {
	w.t.Helper()
	done := make(chan int16, 1)
	w.Commit(groupID, &group.Commit{Generation: -1, Offsets: []group.PartitionOffset{{
		Partition: topic.Partition{Topic: "t", Index: partition},
		Offset:    group.Offset{Offset: offset, LeaderEpoch: -1, CommitTimestamp: time.Now().UnixMilli(), ExpireTimestamp: -1},
	}}}, func(codes []int16) { done <- codes[0] })
	return <-done
}

func (w *world) offset(groupID string, partition int32) int64 {
	w.t.Helper()
	code, list := w.Fetch(groupID, []topic.Partition{{Topic: "t", Index: partition}}, false)
	if code != 0 {
		w.t.Fatalf("fetch: error %d", code)
	}
	return list[0].Offset
}

// TestOwnership: a partition is owned from when it is loaded until it is lost, and its offsets are there again with the
// next election, from many segments and more chunks.
func TestOwnership(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Codec = record.LZ4 })
	if code := w.commit("g", 0, 1); code != 16 {
		t.Errorf("commit before the election: error %d, want 16", code)
	}
	w.become(1, 1)
	w.awaitLoaded()
	for i := range 5000 {
		if code := w.commit(fmt.Sprint("g", i%7), int32(i%3), int64(i)); code != 0 {
			t.Fatalf("commit %d: error %d", i, code)
		}
	}
	for range 3 {
		w.become(2, 2)
		if code := w.commit("g0", 0, 1); code != 16 {
			t.Errorf("commit after the resignation: error %d, want 16", code)
		}
		w.become(1, 1)
		w.awaitLoaded()
		for i := 5000 - 21; i < 5000; i++ {
			if got := w.offset(fmt.Sprint("g", i%7), int32(i%3)); got != int64(i) {
				t.Fatalf("offset %d of g%d, want %d", got, i%7, i)
			}
		}
	}
	w.Elected(0, w.epoch) // no news
	w.Resigned(0, w.epoch-1)
	if got := w.offset("g0", 0); got < 0 {
		t.Error("a stale resignation was obeyed")
	}
}

// segment opens the first segment of the partition, and returns what is in it.
func (w *world) segment() (*os.File, []byte) {
	w.t.Helper()
	p, err := w.replicas.Partition(topic.Partition{Topic: topic.ConsumerOffsets})
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(p.Log().Dir(), topic.ConsumerOffsets+"-0", "00000000000000000000.log")
	whole, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { file.Close() })
	return file, whole
}

// TestLoadIsTriedAgain: a partition that cannot be read is loaded once it can be, and not as far as it can be read.
func TestLoadIsTriedAgain(t *testing.T) {
	for name, damage := range map[string]func(file *os.File, whole []byte) error{
		"an unknown format": func(f *os.File, _ []byte) error { _, err := f.WriteAt([]byte{99}, 16); return err },
		"a batch longer than the log": func(f *os.File, _ []byte) error {
			_, err := f.WriteAt([]byte{0x7f}, 8)
			return err
		},
		"a file that ends early":    func(f *os.File, whole []byte) error { return f.Truncate(int64(len(whole) / 2)) },
		"a file that holds nothing": func(f *os.File, _ []byte) error { return f.Truncate(0) },
	} {
		t.Run(name, func(t *testing.T) {
			log, logged := test.NewNullLogger()
			w := newWorld(t, func(o *Options) { o.Logger = log })
			w.become(1, 1)
			w.awaitLoaded()
			for i := range int64(10) {
				w.commit("g", 0, i)
			}
			w.become(2, 2)
			file, whole := w.segment()
			if err := damage(file, whole); err != nil {
				t.Fatal(err)
			}
			w.become(1, 1)
			w.await("the partition cannot be read", func() bool {
				return slices.ContainsFunc(logged.AllEntries(), func(e *logrus.Entry) bool { return e.Level == logrus.ErrorLevel })
			})
			if code, _ := w.Fetch("g", nil, false); code != 14 {
				t.Errorf("fetch meanwhile: error %d, want 14", code)
			}
			if _, err := file.WriteAt(whole, 0); err != nil {
				t.Fatal(err)
			}
			w.awaitLoaded()
			if got := w.offset("g", 0); got != 9 {
				t.Errorf("offset %d, want 9", got)
			}
		})
	}
}

// TestLoadIsGivenUp: a partition that is lost while it cannot be read is not read any more; it is read once when it is won
// again, and the ends of transactions do not pile up meanwhile.
func TestLoadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logged := test.NewNullLogger()
		w := newWorld(t, func(o *Options) { o.Logger = log })
		w.become(1, 1)
		w.awaitLoaded()
		w.commit("g", 0, 1)
		w.become(2, 2)
		file, _ := w.segment()
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		attempts := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			got := 0
			for _, e := range logged.AllEntries() {
				if e.Level == logrus.ErrorLevel {
					got++
				}
			}
			if got != want {
				t.Fatalf("%s: %d attempts, want %d", what, got, want)
			}
		}
		w.become(1, 1)
		attempts("won", 1)
		w.become(2, 2)
		time.Sleep(10 * lastLoadPause)
		attempts("lost", 1)
		w.become(1, 1)
		attempts("won again", 2)
		w.become(2, 2)
		w.become(1, 1)
		attempts("lost and won", 3)
		w.become(1, 1)
		attempts("another epoch", 3)
		for n := range 5 {
			w.EndTransaction(0, 7, true, 1)
			time.Sleep(firstLoadPause << n)
			attempts("after a pause", 4+n)
			if ended := w.partitions[0].txns.ended; len(ended) > 0 {
				t.Fatalf("%d ends of transactions are kept, whose markers are in the log", len(ended))
			}
		}
	})
}

// TestCommitsWaitForReplicas: a commit counts when it is on all in-sync replicas, and fails when that takes too long or
// leadership is lost.
func TestCommitsWaitForReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.CommitTimeout = 200 * time.Millisecond })
		w.become(1, 1, 2)
		w.awaitLoaded()
		if code := w.commit("g", 0, 1); code != 7 {
			t.Errorf("commit that broker 2 does not copy: error %d, want 7", code)
		}
		if got := w.offset("g", 0); got != -1 {
			t.Errorf("offset %d counts although its record is not committed", got)
		}
		code := make(chan int16)
		go func() { code <- w.commit("g", 0, 2) }()
		w.await("the commit waits", func() bool { return w.replicas.Produces.Len() > 0 })
		w.become(2, 2)
		if got := <-code; got != 16 && got != 7 {
			t.Errorf("commit whose leader has resigned: error %d, want 16", got)
		}
	})
}

// TestSessionsEnd: members that are not heard of are removed, those that wait are answered when the partition is lost.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Groups.InitialRebalanceDelay = 500 * time.Millisecond })
		w.become(1, 1)
		w.awaitLoaded()
		joined := make(chan group.Joined, 2)
		j := &group.Join{
			ClientID: "c", SessionTimeoutMs: 50, RebalanceTimeoutMs: 60000, ProtocolType: "consumer", Protocols: []group.Protocol{{Name: "range"}},
		}
		w.Join("g", j, func(a group.Joined) { joined <- a })
		a := <-joined
		if a.Code != 0 || a.Generation != 1 {
			t.Fatalf("join: %+v", a)
		}
		w.await("the silent member is gone", func() bool {
			_, s := w.Describe("g")
			return s.State == group.Empty && len(s.Members) == 0
		})
		if code := w.Heartbeat("g", group.Identity{MemberID: a.MemberID}, 1); code != 25 {
			t.Errorf("heartbeat of a member that is gone: error %d, want 25", code)
		}
		// Another one has joined and waits for its leader, which never comes.
		j.SessionTimeoutMs = 30000
		for range 2 {
			w.Join("h", j, func(a group.Joined) { joined <- a })
		}
		follower, other := <-joined, <-joined
		if follower.MemberID == follower.Leader {
			follower = other
		}
		synced := make(chan group.Synced, 1)
		w.Sync("h", &group.Sync{MemberID: follower.MemberID, Generation: follower.Generation}, func(a group.Synced) { synced <- a })
		w.become(2, 2)
		if got := <-synced; got.Code != 16 {
			t.Errorf("sync of a group that is elsewhere: error %d, want 16", got.Code)
		}
	})
}

// TestExpiry removes offsets, and the group with its last one, here and in the log.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Retention, o.RetentionCheckInterval = 50*time.Millisecond, 10*time.Millisecond })
		w.become(1, 1)
		w.awaitLoaded()
		if code := w.commit("g", 0, 1); code != 0 {
			t.Fatalf("commit: error %d", code)
		}
		gone := func() bool { _, s := w.Describe("g"); return s.State == group.Dead }
		w.await("the group has expired", gone)
		w.become(2, 2)
		w.become(1, 1)
		w.awaitLoaded()
		if !gone() {
			t.Error("the expired group is there again")
		}
	})
}

// TestDeletedTopics removes the offsets of partitions that are no more.
func TestDeletedTopics(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	for p := range int32(2) {
		if code := w.commit("g", p, 5); code != 0 {
			t.Fatalf("commit: error %d", code)
		}
	}
	w.Deleted([]topic.Partition{{Topic: "t", Index: 1}})
	if a, b := w.offset("g", 0), w.offset("g", 1); a != 5 || b != -1 {
		t.Errorf("offsets %d and %d, want 5 and -1", a, b)
	}
}

// TestHeartbeatsDoNotAllocate: they are most of what idle groups cost.
func TestHeartbeatsDoNotAllocate(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	joined := make(chan group.Joined, 1)
	w.Join("g", &group.Join{
		ClientID: "c", SessionTimeoutMs: 60000, RebalanceTimeoutMs: 60000, ProtocolType: "consumer",
		Protocols: []group.Protocol{{Name: "range"}},
	}, func(a group.Joined) { joined <- a })
	m := <-joined
	who := group.Identity{MemberID: m.MemberID}
	if allocs := testing.AllocsPerRun(100, func() {
		if code := w.Heartbeat("g", who, m.Generation); code != 0 {
			t.Errorf("error %d", code)
		}
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkLoad loads a partition with commits of 1,000 groups.
func BenchmarkLoad(b *testing.B) {
	const commits = 200_000
	w := newWorld(b, func(o *Options) { o.LoadBufferBytes, o.RequiredAcks = 5<<20, 0 })
	w.become(1, 1)
	w.awaitLoaded()
	for i := range commits {
		w.commit(fmt.Sprint("group-", i%1000), int32(i%10), int64(i))
	}
	b.ResetTimer()
	for b.Loop() {
		w.become(2, 2)
		w.become(1, 1)
		w.awaitLoaded()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/commits, "ns/record")
}

// BenchmarkCommit commits one offset after the other, on a leader without followers.
func BenchmarkCommit(b *testing.B) {
	w := newWorld(b, nil)
	w.become(1, 1)
	w.awaitLoaded()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if code := w.commit("g", int32(i%10), int64(i)); code != 0 {
			b.Fatalf("commit: error %d", code)
		}
	}
}

// BenchmarkRebalance lets 1,000 members join one group, sync and leave.
func BenchmarkRebalance(b *testing.B) {
	const members = 1000
	w := newWorld(b, func(o *Options) {
		o.Groups.MaxSize, o.Groups.InitialRebalanceDelay = members, 100*time.Millisecond
	})
	w.become(1, 1)
	w.awaitLoaded()
	for b.Loop() {
		joined, synced := make(chan group.Joined, members), make(chan group.Synced, members)
		for range members {
			j := &group.Join{
				ClientID: "c", SessionTimeoutMs: 60000, RebalanceTimeoutMs: 60000, ProtocolType: "consumer",
				Protocols: []group.Protocol{{Name: "range", Metadata: make([]byte, 100)}},
			}
			w.Join("g", j, func(a group.Joined) { joined <- a })
		}
		var ids []group.Departure
		for range members {
			a := <-joined
			if a.Code != 0 {
				b.Fatalf("join: error %d", a.Code)
			}
			ids = append(ids, group.Departure{Identity: group.Identity{MemberID: a.MemberID}})
			s := &group.Sync{MemberID: a.MemberID, Generation: a.Generation, Assignments: map[string][]byte{}}
			for _, m := range a.Members {
				s.Assignments[m.ID] = make([]byte, 100)
			}
			w.Sync("g", s, func(a group.Synced) { synced <- a })
		}
		for range members {
			if a := <-synced; a.Code != 0 {
				b.Fatalf("sync: error %d", a.Code)
			}
		}
		if code, _ := w.Leave("g", ids); code != 0 {
			b.Fatalf("leave: error %d", code)
		}
	}
}
