package zkutil_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

func TestTopicLife(t *testing.T) {
	ctx, c := within(t), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	tp := &zkutil.Topic{Name: "t", ID: topic.NewID(), Partitions: map[int32]zkutil.Assignment{0: {Replicas: []int32{1, 2}}}}
	if err := c.CreateTopic(ctx, tp, nil); !errors.Is(err, zkutil.ErrNoController) {
		t.Errorf("without a controller: %v", err)
	}
	f := electFirst(t, c, 1)
	events := make(chan zkutil.Event, 10)
	w := zkutil.NewWatcher(func(e zkutil.Event) { events <- e })
	_, err := c.TopicNames(ctx, w)
	must(t, err)
	must(t, c.CreateTopic(ctx, tp, map[string]string{"retention.ms": "5"}))
	next(t, events, "the event of the new topic")
	if err := c.CreateTopic(ctx, tp, nil); !errors.Is(err, zkutil.ErrNodeExists) {
		t.Errorf("created twice: %v", err)
	}
	names, err := c.TopicNames(ctx, nil)
	if err != nil || !slices.Equal(names, []string{"t"}) {
		t.Errorf("topics %q, %v", names, err)
	}
	results := c.Topics(ctx, []string{"nobody", "t"}, w)
	if !errors.Is(results[0].Err, zkutil.ErrNoNode) || results[1].Err != nil {
		t.Errorf("results %+v", results)
	}
	opt := cmp.Transformer("lists", func(a zkutil.Assignment) string { return fmt.Sprint(a) })
	if diff := cmp.Diff(tp, results[1].Topic, opt); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	tp.Partitions[1] = zkutil.Assignment{Replicas: []int32{2, 1}}
	tp.Version, err = c.AddPartitions(ctx, tp)
	if err != nil || tp.Version != 1 {
		t.Errorf("version %d, %v", tp.Version, err)
	}
	next(t, events, "the event of more partitions")
	tp.Partitions[1] = zkutil.Assignment{Replicas: []int32{2, 1}, Adding: []int32{2}}
	updated, err := c.UpdateTopics(ctx, f, tp)
	if err != nil || updated[0].Err != nil || updated[0].Stat.Version != 2 {
		t.Errorf("updated %+v, %v", updated, err)
	}
	if got, err := c.Topic(ctx, "t"); err != nil || !got.Partitions[1].Reassigning() || got.Version != 2 {
		t.Errorf("topic %+v, %v", got, err)
	}

	deleteTopic(t, c, f)
}

func deleteTopic(t *testing.T, c *zkutil.Client, f zkutil.Fence) {
	ctx := within(t)
	_, err := c.CreatePartitionStates(ctx, f, []zkutil.PartitionWrite{{Partition: part}})
	must(t, err)
	events := make(chan zkutil.Event, 10)
	_, err = c.TopicDeletions(ctx, zkutil.NewWatcher(func(e zkutil.Event) { events <- e }))
	must(t, err)
	for range 2 {
		must(t, c.RequestTopicDeletion(ctx, "t"))
	}
	next(t, events, "the event of the wish")
	if names, err := c.TopicDeletions(ctx, nil); err != nil || !slices.Equal(names, []string{"t"}) {
		t.Errorf("deletions %q, %v", names, err)
	}
	old := f
	old.Version--
	if err := c.DeleteTopic(ctx, old, "t"); !errors.Is(err, zkutil.ErrControllerMoved) {
		t.Errorf("deletion by an old controller: %v", err)
	}
	for range 2 { // again after a crash in the middle
		must(t, c.DeleteTopic(ctx, f, "t"))
	}
	for _, path := range []string{"/brokers/topics/t", "/config/topics/t", "/admin/delete_topics/t"} {
		if exists, _, err := c.Exists(ctx, path); exists || err != nil {
			t.Errorf("%s: %v, %v", path, exists, err)
		}
	}
}

func TestPartitionStates(t *testing.T) {
	ctx, c := within(t), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	f := electFirst(t, c, 1)
	var writes []zkutil.PartitionWrite
	var partitions []topic.Partition
	for i := range int32(300) {
		p := topic.Partition{Topic: fmt.Sprint("t", i%3), Index: i / 3}
		partitions = append(partitions, p)
		writes = append(writes, zkutil.PartitionWrite{Partition: p,
			State: zkutil.PartitionState{Leader: i, ISR: []int32{i}, ControllerEpoch: 1}})
	}
	for i := range 2 { // topic t2 does not exist
		create(t, c, zkutil.TopicPath(fmt.Sprint("t", i)))
	}
	created, err := c.CreatePartitionStates(ctx, f, writes)
	must(t, err)
	for i, r := range created {
		if want := map[bool]error{true: zkutil.ErrNoNode}[i%3 == 2]; !errors.Is(r.Err, want) || r.Partition != partitions[i] {
			t.Fatalf("created %d: %+v, want %v", i, r, want)
		}
	}
	create(t, c, zkutil.TopicPath("t2"))
	created, err = c.CreatePartitionStates(ctx, f, writes)
	must(t, err)
	for i, r := range created {
		if want := map[bool]error{false: zkutil.ErrNodeExists}[i%3 == 2]; !errors.Is(r.Err, want) {
			t.Fatalf("created again %d: %+v, want %v", i, r, want)
		}
	}
	read := c.PartitionStates(ctx, append(slices.Clone(partitions), topic.Partition{Topic: "t0", Index: 999}))
	for i, w := range writes {
		if diff := cmp.Diff(w.State, read[i].State); diff != "" || read[i].Err != nil {
			t.Fatalf("%v: %v %s", partitions[i], read[i].Err, diff)
		}
	}
	if err := read[300].Err; !errors.Is(err, zkutil.ErrNoNode) {
		t.Errorf("absent state: %v", err)
	}
	writes[7].State.Version = 4
	for i := range writes {
		writes[i].State.LeaderEpoch = 1
	}
	updated, err := c.UpdatePartitionStates(ctx, f, writes)
	must(t, err)
	for i, r := range updated {
		if i == 7 && !errors.Is(r.Err, zkutil.ErrBadVersion) || i != 7 && (r.Err != nil || r.State.Version != 1 || r.State.LeaderEpoch != 1) {
			t.Errorf("updated %d: %+v", i, r)
		}
	}
	old := f
	old.Version--
	updated, err = c.UpdatePartitionStates(ctx, old, writes[:2])
	if !errors.Is(err, zkutil.ErrControllerMoved) || !errors.Is(updated[1].Err, zkutil.ErrControllerMoved) {
		t.Errorf("an old controller: %v, %+v", err, updated)
	}
	created, err = c.CreatePartitionStates(ctx, old, writes[:2])
	if !errors.Is(err, zkutil.ErrControllerMoved) || !errors.Is(created[1].Err, zkutil.ErrControllerMoved) {
		t.Errorf("an old controller: %v, %+v", err, created)
	}

	s := updated[0].State
	s.Version, s.ISR = 1, []int32{0, 1}
	s, err = c.WritePartitionState(ctx, partitions[0], s)
	if err != nil || s.Version != 2 {
		t.Errorf("ISR write: %+v, %v", s, err)
	}
	s.Version = 1
	if again, err := c.WritePartitionState(ctx, partitions[0], s); err != nil || again.Version != 2 {
		t.Errorf("the same ISR write: %+v, %v", again, err)
	}
	s.ISR = []int32{0}
	if _, err := c.WritePartitionState(ctx, partitions[0], s); !errors.Is(err, zkutil.ErrBadVersion) {
		t.Errorf("another ISR write with an old version: %v", err)
	}
	testManyISRWrites(t, c, partitions[100:])
}

// testManyISRWrites: of many writes each has its own outcome, and the server is not asked for each.
func testManyISRWrites(t *testing.T, c *zkutil.Client, partitions []topic.Partition) {
	writes := make([]zkutil.PartitionWrite, len(partitions))
	for i, p := range partitions {
		writes[i] = zkutil.PartitionWrite{Partition: p, State: zkutil.PartitionState{Leader: 3, LeaderEpoch: 5, ISR: []int32{3}, Version: 1}}
	}
	transactions := map[int64]bool{}
	for i, r := range c.WritePartitionStates(t.Context(), writes) {
		must(t, r.Err)
		_, stat, err := c.Get(t.Context(), zkutil.PartitionStatePath(partitions[i]))
		must(t, err)
		transactions[stat.Mzxid] = true
		writes[i].State.Version = r.State.Version
	}
	if len(transactions) > 1+len(writes)/100 {
		t.Errorf("%d transactions for %d writes", len(transactions), len(writes))
	}
	for i := range writes {
		writes[i].State.ISR = []int32{3, 4}
	}
	writes[7].State.Version, writes[8].Partition.Index = 0, 999
	for i, r := range c.WritePartitionStates(t.Context(), writes) {
		if i == 7 && !errors.Is(r.Err, zkutil.ErrBadVersion) || i == 8 && !errors.Is(r.Err, zkutil.ErrNoNode) || i != 7 && i != 8 && (r.Err != nil || r.State.Version != 3) {
			t.Errorf("write %d: %+v", i, r)
		}
	}
}

func TestNotifications(t *testing.T) {
	ctx, c := within(t), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	f := electFirst(t, c, 1)
	want := []topic.Partition{{Topic: "a", Index: 1}, {Topic: "b", Index: 0}}
	path, err := c.NotifyISRChange(ctx, want)
	must(t, err)
	data, _, err := c.Get(ctx, path)
	must(t, err)
	if got, err := zkutil.DecodeISRChange(data); err != nil || !slices.Equal(got, want) {
		t.Errorf("partitions %v, %v", got, err)
	}
	must(t, c.DeleteFenced(ctx, f, path, zkutil.ISRChangesPath+"/isr_change_0000009999"))
	path, err = c.NotifyLogDirFailure(ctx, 8)
	must(t, err)
	if path != "/log_dir_event_notification/log_dir_event_0000000000" {
		t.Errorf("path %s", path)
	}
	data, _, err = c.Get(ctx, path)
	must(t, err)
	if id, ok, err := zkutil.DecodeLogDirEvent(data); id != 8 || !ok || err != nil {
		t.Errorf("broker %d, %v, %v", id, ok, err)
	}
}

func TestConfigs(t *testing.T) {
	ctx, c := within(t), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	alice := "alice"
	both := zkutil.Entity("users/alice/clients/app%201")
	user := zkutil.UserEntity(&alice)
	rate := map[string]string{"producer_byte_rate": "1"}
	if err := c.ChangeConfig(ctx, both, rate); !errors.Is(err, zkutil.ErrNoController) {
		t.Errorf("without a controller: %v", err)
	}
	electFirst(t, c, 1)
	if err := c.WriteConfig(ctx, "nonsense", nil); err == nil {
		t.Error("an entity of no type is written")
	}
	must(t, c.ChangeConfig(ctx, both, rate))
	must(t, c.ChangeConfig(ctx, user, rate))
	must(t, c.ChangeConfig(ctx, user, map[string]string{"consumer_byte_rate": "2"}))
	must(t, c.ChangeConfig(ctx, zkutil.DefaultBrokers, map[string]string{"log.retention.ms": "9"}))
	entities, err := c.Entities(ctx, "users")
	if err != nil || !slices.Equal(entities, []zkutil.Entity{user, both}) {
		t.Errorf("users %q, %v", entities, err)
	}
	if entities, err := c.Entities(ctx, "ips"); err != nil || len(entities) != 0 {
		t.Errorf("ips %q, %v", entities, err)
	}
	results := c.Configs(ctx, []zkutil.Entity{both, user, "topics/nobody"})
	for i, want := range []map[string]string{rate, {"consumer_byte_rate": "2"}, {}} {
		if diff := cmp.Diff(want, results[i].Config); diff != "" || results[i].Err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", results[i].Entity, results[i].Err, diff)
		}
	}
	// A user keeps its node as long as a client is below it.
	must(t, c.ChangeConfig(ctx, user, nil))
	if exists, _, _ := c.Exists(ctx, user.Path()); !exists {
		t.Error("the user's node is gone in spite of its client")
	}
	must(t, c.ChangeConfig(ctx, both, nil))
	if exists, _, _ := c.Exists(ctx, user.Path()); exists {
		t.Error("the user's node has stayed without properties and clients")
	}
	must(t, c.ChangeConfig(ctx, zkutil.BrokerEntity(1), nil))
	if exists, _, _ := c.Exists(ctx, zkutil.BrokerEntity(1).Path()); !exists {
		t.Error("an empty broker configuration has no node")
	}
	changes, _, err := c.Children(ctx, zkutil.ConfigChangesPath)
	must(t, err)
	want := []zkutil.Entity{both, user, user, zkutil.DefaultBrokers, user, both, zkutil.BrokerEntity(1)}
	for i, change := range changes {
		data, _, err := c.Get(ctx, zkutil.Join(zkutil.ConfigChangesPath, change))
		must(t, err)
		if e, err := zkutil.DecodeConfigChange(data); err != nil || i >= len(want) || e != want[i] {
			t.Errorf("change %s is of %q, %v", change, e, err)
		}
	}
	if len(changes) != len(want) {
		t.Errorf("%d changes, want %d", len(changes), len(want))
	}
}
