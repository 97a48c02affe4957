package admin

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

// remove deletes topics, by id where it is not zero and else by name.
func (w *world) remove(t testing.TB, version int16, timeoutMs int32, topics ...kmsg.DeleteTopicsRequestTopic) []kmsg.DeleteTopicsResponseTopic {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = version, timeoutMs
	for _, d := range topics {
		if version < 6 {
			req.TopicNames = append(req.TopicNames, *d.Topic)
		}
	}
	req.Topics = topics
	resp := kmsg.NewPtrDeleteTopicsResponse()
	fixture.Do(t, request.HandlerFunc(w.Handlers.DeleteTopics), req, resp)
	return resp.Topics
}

func byName(name string) kmsg.DeleteTopicsRequestTopic {
	return kmsg.DeleteTopicsRequestTopic{Topic: &name}
}
func byID(id topic.ID) kmsg.DeleteTopicsRequestTopic {
	return kmsg.DeleteTopicsRequestTopic{TopicID: id}
}

func TestDeleteTopics(t *testing.T) {
	w := newWorld(t)
	w.add("a", 1)
	b := w.add("b", 2)
	got := w.remove(t, 6, 10_000, byName("a"), byID(b), byName("nowhere"), byID(topic.NewID()), kmsg.DeleteTopicsRequestTopic{})
	for i, want := range []struct {
		name string
		code int16
	}{{"a", 0}, {"b", 0}, {"nowhere", 3}, {"<null>", 100}, {"<null>", 29}} {
		if got[i].ErrorCode != want.code || text(got[i].Topic) != want.name {
			t.Errorf("%d: %s with error %d, want %+v", i, text(got[i].Topic), got[i].ErrorCode, want)
		}
	}
	if got[0].TopicID != [16]byte{} || topic.ID(got[1].TopicID) != b {
		t.Errorf("ids %x and %x: what was asked for by name has none", got[0].TopicID, got[1].TopicID)
	}
	if len(w.topics) != 0 {
		t.Errorf("left: %v", w.topics)
	}
}

func TestDeleteTopicsRefusals(t *testing.T) {
	w := newWorld(t)
	id := w.add("a", 1)
	both := byName("a")
	both.TopicID = id
	for _, got := range w.remove(t, 6, 10_000, byName("a"), both) {
		if got.ErrorCode != 42 {
			t.Errorf("a topic by name and id refuses the whole request: error %d, want INVALID_REQUEST", got.ErrorCode)
		}
	}
	w.idle = true
	for _, timeout := range []int32{-1, 0, 1} {
		if got := w.remove(t, 6, timeout, byName("a"))[0]; got.ErrorCode != 7 {
			t.Errorf("timeout %d: error %d, want REQUEST_TIMED_OUT", timeout, got.ErrorCode)
		}
	}
	w.err = errStore
	if got := w.remove(t, 6, 1, byName("a"))[0]; got.ErrorCode != -1 {
		t.Errorf("the store fails: error %d", got.ErrorCode)
	}
	w.IsController = func() bool { return false }
	if got := w.remove(t, 6, 1, byName("a"))[0]; got.ErrorCode != 41 {
		t.Errorf("error %d, want NOT_CONTROLLER", got.ErrorCode)
	}
	w = newWorld(t, "delete.topic.enable=false")
	w.add("a", 1)
	for version, want := range map[int16]int16{2: 42, 3: 73, 6: 73} {
		if got := w.remove(t, version, 1, byName("a"))[0]; got.ErrorCode != want {
			t.Errorf("v%d with deletion disabled: error %d, want %d", version, got.ErrorCode, want)
		}
	}
}

// A topic of the same name that is made at once does not look like the old one.
func TestDeletedTopicMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.add("a", 1)
	d := doomed{name: "a", id: topic.NewID()}
	if !d.gone(w.cache.Load()) {
		t.Error("a topic of another id is taken for the deleted one")
	}
}

func (w *world) grow(t testing.TB, change func(*kmsg.CreatePartitionsRequest), topics ...kmsg.CreatePartitionsRequestTopic) []kmsg.CreatePartitionsResponseTopic {
	t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 3, 10_000, topics
	if change != nil {
		change(req)
	}
	resp := kmsg.NewPtrCreatePartitionsResponse()
	fixture.Do(t, request.HandlerFunc(w.CreatePartitions), req, resp)
	return resp.Topics
}

func larger(name string, count int32, assignment ...[]int32) kmsg.CreatePartitionsRequestTopic {
	t := kmsg.CreatePartitionsRequestTopic{Topic: name, Count: count}
	for _, replicas := range assignment {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
	}
	return t
}

func TestCreatePartitions(t *testing.T) {
	tests := []struct {
		name    string
		topic   kmsg.CreatePartitionsRequestTopic
		code    int16
		message string
	}{
		{"by the algorithm", larger("a", 4), 0, "<null>"},
		{"chosen", larger("a", 4, []int32{2}, []int32{1}), 0, "<null>"},
		{"fewer", larger("a", 1), 37, "Topic currently has 2 partitions, which is higher than the requested 1."},
		{"as many", larger("a", 2), 37, "Topic already has 2 partitions."},
		{"unknown", larger("nowhere", 2), 3, "The topic 'nowhere' does not exist."},
		{"marked", larger("going", 2), 17, "The topic is queued for deletion."},
		{"reassigning", larger("moving", 2), 60, "A partition reassignment is in progress for the topic 'moving'."},
		{"unknown broker", larger("a", 3, []int32{9}), 39, "Unknown broker(s) in replica assignment: 9."},
		{"too few", larger("a", 4, []int32{1}), 39, "Increasing the number of partitions by 2 but 1 assignments provided."},
		{"empty", larger("a", 3, []int32{}), 39, "Cannot have replication factor of 0 for partition id 2."},
		{"twice", larger("a", 3, []int32{1, 1}), 39, "Duplicate brokers not allowed in replica assignment: 1, 1 for partition id 2."},
		{"other factor", larger("a", 3, []int32{1, 2}), 39,
			"Inconsistent replication factor between partitions, partition 0 has 1 while partitions [2] have replication factors [2], respectively."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.add("a", 2)
			w.add("going", 1)
			w.add("moving", 1)
			moving := w.topics["moving"]
			moving.Reassigning = true
			w.topics["moving"] = moving
			w.marked = []string{"going"}
			got := w.grow(t, func(r *kmsg.CreatePartitionsRequest) { r.ValidateOnly = true }, tt.topic)[0]
			if got.ErrorCode != tt.code || text(got.ErrorMessage) != tt.message || len(w.topics["a"].Replicas) != 2 {
				t.Errorf("validate only: %d %q, want %d %q", got.ErrorCode, text(got.ErrorMessage), tt.code, tt.message)
			}
			got = w.grow(t, nil, tt.topic)[0]
			if got.ErrorCode != tt.code || text(got.ErrorMessage) != tt.message {
				t.Errorf("%d %q, want %d %q", got.ErrorCode, text(got.ErrorMessage), tt.code, tt.message)
			}
			if n := len(w.topics["a"].Replicas); tt.code == 0 && n != 4 {
				t.Errorf("%d partitions, want 4", n)
			}
		})
	}
}

func TestCreatePartitionsOfTheWholeRequest(t *testing.T) {
	w := newWorld(t)
	w.add("a", 1)
	if got := w.grow(t, nil, larger("a", 2), larger("a", 3)); len(got) != 1 || got[0].ErrorCode != 42 || text(got[0].ErrorMessage) != "Duplicate topic in request." {
		t.Errorf("named twice: %+v", got)
	}
	for count, want := range map[int32]int16{5: 0, 4: 37} {
		name := fmt.Sprint("contested", count)
		w.add(name, 1)
		w.rival = func() { w.add(name, 4) }
		if got := w.grow(t, nil, larger(name, count)); got[0].ErrorCode != want {
			t.Errorf("grown to 4 meanwhile, then to %d: error %d, want %d", count, got[0].ErrorCode, want)
		}
	}
	w.idle = true
	if got := w.grow(t, func(r *kmsg.CreatePartitionsRequest) { r.TimeoutMillis = 1 }, larger("a", 2)); got[0].ErrorCode != 7 {
		t.Errorf("without a controller's work: error %d, want REQUEST_TIMED_OUT", got[0].ErrorCode)
	}
	w.err = errStore
	if got := w.grow(t, nil, larger("a", 9)); got[0].ErrorCode != -1 {
		t.Errorf("the store fails: error %d", got[0].ErrorCode)
	}
	w.IsController = func() bool { return false }
	if got := w.grow(t, nil, larger("a", 9)); got[0].ErrorCode != 41 {
		t.Errorf("error %d, want NOT_CONTROLLER", got[0].ErrorCode)
	}
}

func (w *world) describeAll(t testing.TB, change func(*kmsg.DescribeConfigsRequest), resources ...kmsg.DescribeConfigsRequestResource) []kmsg.DescribeConfigsResponseResource {
	t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.Resources = 4, resources
	if change != nil {
		change(req)
	}
	resp := kmsg.NewPtrDescribeConfigsResponse()
	fixture.Do(t, request.HandlerFunc(w.DescribeConfigs), req, resp)
	return resp.Resources
}

func resource(kind int8, name string, keys ...string) kmsg.DescribeConfigsRequestResource {
	return kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceType(kind), ResourceName: name, ConfigNames: keys}
}

func TestDescribeConfigs(t *testing.T) {
	w := newWorld(t, "log.retention.hours=1", "log.segment.bytes=50000", "gregor.log.level=debug")
	w.add("a", 1)
	w.configs["a"] = map[string]string{"segment.bytes": "60000"}
	got := w.describeAll(t, func(r *kmsg.DescribeConfigsRequest) { r.IncludeSynonyms = true },
		resource(2, "a", "segment.bytes"), resource(2, "a"), resource(4, "1", "log.retention.hours"), resource(4, ""), resource(8, "1"), resource(8, "1", "root", "other"))
	one := got[0].Configs
	if len(one) != 1 || text(one[0].Value) != "60000" || one[0].Source != 1 || len(one[0].ConfigSynonyms) != 3 {
		t.Errorf("a topic's own property: %+v", one)
	}
	if i := slices.IndexFunc(got[1].Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.IsDefault }); i >= 0 {
		t.Errorf("version 0 says that something is a default: %+v", got[1].Configs[i])
	}
	if len(got[1].Configs) < 20 {
		t.Errorf("%d properties of a topic", len(got[1].Configs))
	}
	if b := got[2].Configs; len(b) != 1 || text(b[0].Value) != "1" || b[0].Source != 4 || !b[0].ReadOnly {
		t.Errorf("a broker's static property: %+v", b)
	}
	if len(got[3].Configs) != 0 || got[3].ErrorCode != 0 {
		t.Errorf("cluster-wide defaults: %+v", got[3])
	}
	if len(got[4].Configs) != 2 {
		t.Errorf("loggers: %+v", got[4])
	}
	if l := got[5].Configs; len(l) != 1 || l[0].Name != "root" || text(l[0].Value) != "INFO" || l[0].Source != 6 || l[0].ReadOnly || l[0].IsSensitive {
		t.Errorf("the root logger: %+v", l)
	}
	if d := got[5].Configs[0].Documentation; d == nil || *d != "" {
		t.Errorf("a logger's documentation is not the empty text, which Java's client shows as such: %+v", got[5])
	}
	if d := got[2].Configs[0].Documentation; d != nil {
		t.Errorf("the documentation of a property, not asked for: %q", *d)
	}
}

func TestDescribeConfigsRefusals(t *testing.T) {
	w := newWorld(t)
	refusals := map[string]struct {
		resource kmsg.DescribeConfigsRequestResource
		code     int16
		message  string
	}{
		"unknown topic":        {resource(2, "nowhere"), 3, ""},
		"no topic name":        {resource(2, "a b"), 17, "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		"another broker":       {resource(4, "2"), 42, "Unexpected broker id, expected 1 or empty string, but received 2"},
		"no broker id":         {resource(4, "x"), 42, "Broker id must be an integer, but it is: x"},
		"loggers of no broker": {resource(8, ""), 42, "Broker id must not be empty"},
		"loggers of another":   {resource(8, "2"), 42, "Unexpected broker id, expected 1 but received 2"},
		"client metrics":       {resource(16, "m"), 42, "Config type client-metrics is only supported on KRaft clusters"},
		"no client metrics":    {resource(16, ""), 42, "Client metrics subscription name must not be empty"},
	}
	for _, name := range slices.Sorted(maps.Keys(refusals)) {
		want := refusals[name]
		got := w.describeAll(t, nil, want.resource)[0]
		if got.ErrorCode != want.code || text(got.ErrorMessage) != want.message {
			t.Errorf("%s: %d %q, want %d %q", name, got.ErrorCode, text(got.ErrorMessage), want.code, want.message)
		}
	}
	for _, got := range w.describeAll(t, nil, resource(4, "1"), resource(7, "x")) {
		if got.ErrorCode != 42 || len(got.Configs) != 0 || got.ResourceName == "" {
			t.Errorf("a type that does not exist refuses the whole request: %+v", got)
		}
	}
	w.add("a", 1)
	w.err = errStore
	if got := w.describeAll(t, nil, resource(2, "a"))[0]; got.ErrorCode != -1 {
		t.Errorf("the store fails: error %d", got.ErrorCode)
	}
}
