package zookeeper

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

func TestCommand(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	ctx, addr := context.Background(), zk.Addr()+"/kafka"
	c, err := zkutil.Connect(ctx, zkutil.Options{Connect: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, n := range []struct{ path, data string }{
		{"/cluster/id", `{ "version": "1", "id": "x" }`},
		{"/brokers/topics/a-b", `{"partitions":{"0":[1]}}`},
		{"/brokers/topics/a/partitions/10/state", `nonsense`},
		{"/brokers/topics/a/partitions/9/state", `{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1]}`},
	} {
		if _, err := c.CreateRecursive(ctx, n.path, []byte(n.data), zkutil.Persistent); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Create(ctx, "/controller", nil, zkutil.Ephemeral); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"all", []string{}, `/
/brokers
/brokers/topics
/brokers/topics/a
/brokers/topics/a/partitions
/brokers/topics/a/partitions/10
/brokers/topics/a/partitions/10/state nonsense # malformed partition state "nonsense": not JSON
/brokers/topics/a/partitions/9
/brokers/topics/a/partitions/9/state {"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1]}
/brokers/topics/a-b {"partitions":{"0":[1]}}
/cluster
/cluster/id {"version":"1","id":"x"}
/controller
/zookeeper-free
`},
		{"depth", []string{"--depth", "1", "brokers/topics/"}, "/brokers/topics\n/brokers/topics/a\n/brokers/topics/a-b {\"partitions\":{\"0\":[1]}}\n"},
		{"stat", []string{"--stat", "/controller"}, "/controller (version 0, ephemeral of session X, czxid N, changed T)\n"},
	}
	if _, err := c.Create(ctx, "/zookeeper-free", nil, zkutil.Persistent); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := execute(append(tt.args, "--zookeeper", addr)...)
			got = regexp.MustCompile(`session 0x[0-9a-f]+`).ReplaceAllString(got, "session X")
			got = regexp.MustCompile(`czxid \d+`).ReplaceAllString(got, "czxid N")
			got = regexp.MustCompile(`changed [0-9TZ:.-]+`).ReplaceAllString(got, "changed T")
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got)\n%s", err, diff)
			}
		})
	}
	if _, err := execute("--zookeeper", addr, "/nobody"); err == nil || !strings.Contains(err.Error(), "/nobody: zk: node does not exist") {
		t.Errorf("an absent path: %v", err)
	}
	if _, err := execute("--zookeeper", zk.Addr()+"/other"); err == nil || !strings.Contains(err.Error(), "chroot /other") {
		t.Errorf("an absent chroot: %v", err)
	}
}

func execute(args ...string) (string, error) {
	var out strings.Builder
	cmd := Command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}
