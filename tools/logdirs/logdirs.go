// Package logdirs is gregorctl log-dirs, Kafka's kafka-log-dirs: it prints which partitions lie in which
// log directories of brokers, and their sizes, as one line of JSON.
package logdirs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jackson"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:   "log-dirs",
		Script: "kafka-log-dirs",
		Short:  "Show the log directories of brokers and what lies in them",
		About:  "This tool helps to query log directory usage on the specified brokers.",
		Examples: "NAME --bootstrap-server localhost:9092 --describe\n" +
			"NAME --bootstrap-server localhost:9092 --describe --broker-list 1,2 --topic-list orders",
		Options: jopt.New(
			jopt.Value("bootstrap-server", "The server(s) to use for bootstrapping", "REQUIRED: brokers to ask first, as host:port,host:port."),
			jopt.Value("command-config", "Admin client property file", "File with properties of the admin client."),
			jopt.Switch("describe", "REQUIRED: show the directories."),
			jopt.Value("topic-list", "Topic list", "Topics, as topic1,topic2. All if not given."),
			jopt.Value("broker-list", "Broker list", "Ids of brokers, as 1,2. All if not given."),
		),
		Run: run,
		Fail: func(env *tool.Env, c *tool.Command, err error) int {
			if e := throwable.From(err); e.Class == throwable.Terse {
				fmt.Fprintln(env.Stderr, e.Message)
				return 1
			}
			return tool.Failed(env, c, err)
		},
	}
}

func run(ctx context.Context, env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, "bootstrap-server", "describe"); err != nil {
		return err
	}
	texts, err := options.Texts("bootstrap-server", "command-config")
	if err != nil {
		return err
	}
	admin, err := client.NewAdminWith(env, texts["bootstrap-server"], texts["command-config"], clientconf.Properties{"client.id": "log-dirs-tool"})
	if err != nil {
		return err
	}
	defer admin.Close()
	topics, err := list(options, "topic-list")
	if err != nil {
		return err
	}
	_, live, err := admin.Cluster(ctx)
	if err != nil {
		return throwable.InFuture(err)
	}
	asked, err := brokers(options, live)
	if err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout, "Querying brokers for log directories information")
	dirs := map[int32][]kmsg.DescribeLogDirsResponseDir{}
	for _, id := range asked {
		if dirs[id], err = admin.LogDirs(ctx, id, nil); err != nil {
			return throwable.InFuture(err)
		}
	}
	fmt.Fprintf(env.Stdout, "Received log directory information from brokers %s\n", join(asked))
	fmt.Fprintln(env.Stdout, format(asked, dirs, topics))
	return nil
}

// list returns the elements of an option that has several, separated by commas; empty ones are left out.
func list(options *jopt.Set, name string) ([]string, error) {
	text, err := options.Value(name)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(text, ","), func(element string) bool { return element == "" }), nil
}

// brokers returns the brokers to ask, in the order in which Kafka names them; all of them must be there.
func brokers(options *jopt.Set, live []kmsg.MetadataResponseBroker) ([]int32, error) {
	texts, err := list(options, "broker-list")
	if err != nil {
		return nil, err
	}
	var existing, asked, missing []int32
	for _, broker := range live {
		existing = append(existing, broker.NodeID)
	}
	for _, text := range texts {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, throwable.New(throwable.NumberFormat, `For input string: "`+text+`"`)
		}
		switch id := int32(id); {
		case slices.Contains(asked, id) || slices.Contains(missing, id):
		case slices.Contains(existing, id):
			asked = append(asked, id)
		default:
			missing = append(missing, id)
		}
	}
	for _, ids := range [][]int32{existing, asked, missing} {
		javamap.Sort(ids, -1, javamap.HashInt)
	}
	if missing != nil {
		return nil, throwable.Newf(throwable.Terse, "ERROR: The given brokers do not exist from --broker-list: %s. "+
			"Current existent brokers: %s", join(missing), join(existing))
	}
	if asked == nil {
		asked = existing
	}
	return asked, nil
}

func join(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, ",")
}

// format returns the directories as JSON, with fields and elements in the order of the maps that Kafka
// prints. topics restrict the partitions; nil are all.
func format(brokers []int32, dirs map[int32][]kmsg.DescribeLogDirsResponseDir, topics []string) string {
	var parts []string
	for _, id := range brokers {
		described := slices.Clone(dirs[id])
		javamap.Sort(described, len(described), func(d kmsg.DescribeLogDirsResponseDir) int32 { return javamap.HashString(d.Dir) })
		var texts []string
		for _, dir := range described {
			texts = append(texts, formatDir(dir, topics))
		}
		parts = append(parts, fmt.Sprintf(`{"broker":%d,"logDirs":[%s]}`, id, strings.Join(texts, ",")))
	}
	return `{"brokers":[` + strings.Join(parts, ",") + `],"version":1}`
}

func formatDir(dir kmsg.DescribeLogDirsResponseDir, topics []string) string {
	replicas := map[topic.Partition]kmsg.DescribeLogDirsResponseDirTopicPartition{}
	var order []topic.Partition
	for _, t := range dir.Topics {
		if len(topics) > 0 && !slices.Contains(topics, t.Topic) {
			continue
		}
		for _, p := range t.Partitions {
			partition := topic.Partition{Topic: t.Topic, Index: p.Partition}
			if _, twice := replicas[partition]; !twice {
				order = append(order, partition)
			}
			replicas[partition] = p
		}
	}
	javamap.Sort(order, -1, javamap.HashPartition)
	var texts []string
	for _, p := range order {
		r := replicas[p]
		texts = append(texts, fmt.Sprintf(`{"partition":%s,"size":%d,"offsetLag":%d,"isFuture":%t}`,
			jackson.Quote(p.String()), r.Size, r.OffsetLag, r.IsFuture))
	}
	failure := "null"
	if err := throwable.FromCode(dir.ErrorCode, nil); err != nil {
		failure = jackson.Quote(throwable.From(err).Class)
	}
	return fmt.Sprintf(`{"partitions":[%s],"error":%s,"logDir":%s}`, strings.Join(texts, ","), failure, jackson.Quote(dir.Dir))
}
