package reassign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller/assign"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func TestCheck(t *testing.T) {
	const server = "--bootstrap-server s "
	tests := []struct{ args, want string }{
		{server + "--list", ""},
		{server + "--execute --reassignment-json-file f --throttle 5 --replica-alter-log-dirs-throttle 6 --timeout 7 --additional", ""},
		{server + "--generate --topics-to-move-json-file f --broker-list 1 --disable-rack-aware", ""},
		{server + "--verify --reassignment-json-file f --preserve-throttles", ""},
		{server, "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"},
		{server + "--list --verify --cancel", "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"},
		{"--list", "Please specify --bootstrap-server"},
		{server + "--generate --broker-list 1", `Missing required argument "[topics-to-move-json-file]"`},
		{server + "--cancel", `Missing required argument "[reassignment-json-file]"`},
		{server + "--verify --reassignment-json-file f --timeout 5 --additional", `Option "[timeout]" can't be used with action "[verify]"`},
		{server + "--additional --list", `Option "[additional]" can't be used with action "[list]"`},
	}
	for _, tt := range tests {
		options, err := options().Parse(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := check(options); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestParsePlan(t *testing.T) {
	const (
		mapping   = "com.fasterxml.jackson.databind.JsonMappingException: "
		operation = "org.apache.kafka.server.common.AdminOperationException: "
		command   = "org.apache.kafka.server.common.AdminCommandFailedException: "
	)
	tests := []struct{ text, want string }{
		{`{"version":1,"partitions":[{"topic":"b","partition":1,"replicas":[2,1]},{"topic":"a","partition":0,"replicas":[3],"log_dirs":["/x"]}]}`,
			"b-1:[2 1] a-0:[3] map[a-0-3:/x]"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":[3,4],"log_dirs":["any","/y"]}]}`, "a-0:[3 4] map[a-0-4:/y]"},
		{`not json`, operation + "Unrecognized token 'not'"},
		{``, operation + "The input string shouldn't be empty"},
		{`{"version":2}`, operation + "Not supported version field value 2"},
		{`[]`, mapping + "Expected JSON object, received []"},
		{`{}`, command + "Partition reassignment list cannot be empty"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":[]}]}`, command + "Partition replica list cannot be empty"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":["1"]}]}`, mapping + "Expected `Integer` value, received \"1\""},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":5}]}`, mapping + "Expected `JSON array` value, received 5"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any"]}]}`,
			command + "Size of replicas list [1, 2] is different from size of log dirs list [any] for partition a-0"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":[1]},{"topic":"a","partition":0,"replicas":[2]}]}`,
			command + "Partition reassignment contains duplicate topic partitions: a-0"},
		{`{"partitions":[{"topic":"a","partition":0,"replicas":[1,1]},{"topic":"b","partition":0,"replicas":[1,1,2,2]}]}`,
			command + "Partition replica lists may not contain duplicate entries: a-0 contains multiple entries for 1. b-0 contains multiple entries for 1,2"},
	}
	for _, tt := range tests {
		p, err := parseExecutable([]byte(tt.text))
		got := ""
		if err != nil {
			got = throwable.String(err)
		} else {
			for _, target := range p.targets {
				got += fmt.Sprintf("%s:%v ", target.partition, target.replicas)
			}
			got += fmt.Sprint(p.dirs)
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(`{"partitions":[{"topic":"a","partition":0,"replicas":[3,4],"log_dirs":["any","/y"]}],"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseExecutable(data)
		if err != nil {
			return
		}
		again, err := parseExecutable([]byte(formatPlan(p.replicas())))
		if err != nil || !maps.EqualFunc(again.replicas(), p.replicas(), slices.Equal) {
			t.Errorf("%q came back as %v, %v", data, again, err)
		}
	})
}

func partition(name string, index int32) topic.Partition {
	return topic.Partition{Topic: name, Index: index}
}

// TestThrottles follows a plan for partitions at rest and for one that is moving already.
func TestThrottles(t *testing.T) {
	p := &plan{targets: []target{{partition("a", 0), []int32{3, 2}}, {partition("a", 10), []int32{1, 4}}, {partition("a", 2), []int32{5}}}}
	moving := map[topic.Partition]client.Reassignment{
		partition("a", 10): {Replicas: []int32{1, 2, 3}, Adding: []int32{3}, Removing: []int32{2}},
		partition("b", 0):  {Replicas: []int32{7, 8}, Adding: []int32{8}},
	}
	current := map[topic.Partition][]int32{partition("a", 0): {1, 2}, partition("a", 10): {1, 2, 3}, partition("a", 2): {5}}
	all := moves(moving, p, current)
	var got []string
	for _, change := range topicThrottles(all) {
		for _, s := range change.Settings {
			got = append(got, change.Resource.Name+" "+s.Name+"="+*s.Value)
		}
	}
	want := []string{
		"a leader.replication.throttled.replicas=0:1,0:2,10:1,10:2,2:5", "a follower.replication.throttled.replicas=0:3,10:4",
		"b leader.replication.throttled.replicas=0:7", "b follower.replication.throttled.replicas=0:8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if ids := brokersOf(all); !slices.Equal(ids, []int32{1, 2, 3, 4, 5, 7, 8}) {
		t.Errorf("throttled brokers are %v", ids)
	}
}

func TestDescribeDirs(t *testing.T) {
	replica := func(index int32) client.Replica { return client.Replica{Partition: partition("a", index), Broker: 1} }
	targets, places := map[client.Replica]string{}, map[client.Replica]client.Place{}
	for index, place := range []client.Place{{}, {Dir: "/old", FutureDir: "/new"}, {Dir: "/old", FutureDir: "/other"}, {Dir: "/new"}, {Dir: "/old"}} {
		targets[replica(int32(index))], places[replica(int32(index))] = "/new", place
	}
	targets[replica(5)] = "/new"
	want := []string{
		"Partition a-0 is not found in any live log dir on broker 1. There is likely an offline log directory on the broker.",
		"Reassignment of replica a-1-1 is still in progress.",
		"Partition a-2 on broker 1 is being moved to log dir /other instead of /new.",
		"Reassignment of replica a-3-1 completed successfully.",
		"Partition a-4 on broker 1 is not being moved from log dir /old to /new.",
		"Partition a-5 cannot be found in any live log directory on broker 1.",
	}
	if lines, done := describeDirs(targets, places); !slices.Equal(lines, want) || done {
		t.Errorf("got %v\n%s", done, strings.Join(lines, "\n"))
	}
	delete(targets, replica(0))
	for _, index := range []int32{1, 2, 5} {
		delete(targets, replica(index))
	}
	if _, done := describeDirs(targets, places); !done {
		t.Error("what has arrived and what was cancelled is not done")
	}
}

// TestPropose checks that each topic keeps its number of partitions and replicas, and gets only the given brokers.
func TestPropose(t *testing.T) {
	current := map[topic.Partition][]int32{partition("a", 0): {1, 2}, partition("a", 1): {1, 2}, partition("b", 0): {3}}
	brokers := []assign.Broker{{ID: 4, Rack: "r"}, {ID: 5, Rack: "r"}, {ID: 6, Rack: "s"}}
	proposed, err := propose(current, brokers)
	if err != nil {
		t.Fatal(err)
	}
	for p, replicas := range proposed {
		if len(replicas) != len(current[p]) || slices.Min(replicas) < 4 {
			t.Errorf("%s gets %v", p, replicas)
		}
	}
	if len(proposed) != len(current) {
		t.Errorf("proposed is %v", proposed)
	}
	_, err = propose(current, brokers[:1])
	if want := "org.apache.kafka.common.errors.InvalidReplicationFactorException: Replication factor: 2 larger than available brokers: 1."; err == nil || throwable.String(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestProposeInJavasOrder checks of which topic one hears first, if several cannot be placed.
func TestProposeInJavasOrder(t *testing.T) {
	current := map[topic.Partition][]int32{{Topic: "ra", Index: 0}: {1, 2}, {Topic: "rb", Index: 0}: {3}, {Topic: "rc", Index: 0}: {1, 2, 3}}
	for range 20 { // the order must not be left to chance
		_, err := propose(current, nil)
		const want = "Replication factor: 1 larger than available brokers: 0."
		if got := throwable.From(err).Message; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestParseTopics(t *testing.T) {
	names, err := parseTopics([]byte(`{"version":1,"topics":[{"topic":"foo"},{"topic":"bar"}]}`))
	if err != nil || !slices.Equal(names, []string{"foo", "bar"}) {
		t.Errorf("got %v, %v", names, err)
	}
	for text, want := range map[string]string{
		"x":                         "The input string is not a valid JSON",
		`{"version":5}`:             "Not supported version field value 5",
		`{"topics":[{"name":"x"}]}`: "No such field exists: `topic`",
	} {
		if _, err := parseTopics([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
