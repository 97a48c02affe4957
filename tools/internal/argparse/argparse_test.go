package argparse

import (
	"errors"
	"strings"
	"testing"
)

// testParser is the command line of kafka-cluster.
func testParser() *Parser {
	const program = "kafka-cluster"
	connection := []Option{
		{Flags: []string{"--bootstrap-server", "-b"}, OneOf: true, Doc: "A list of host/port pairs to use for establishing the connection to the Kafka cluster."},
		{Flags: []string{"--bootstrap-controller", "-C"}, OneOf: true, Doc: "A list of host/port pairs to use for establishing the connection to the KRaft controllers."},
		{Flags: []string{"--config", "-c"}, Doc: "A property file containing configurations for the Admin client."},
	}
	return &Parser{Program: program, Doc: "The Kafka cluster tool.", Commands: []*Parser{
		{Program: program, Name: "cluster-id", Doc: "Get information about the ID of a cluster.", Options: connection},
		{Program: program, Name: "unregister", Doc: "Unregister a broker.",
			Options: append(connection[:3:3], Option{Flags: []string{"--id", "-i"}, Integer: true, Required: true, Doc: "The ID of the broker to unregister."})},
	}}
}

const (
	usage          = "usage: kafka-cluster [-h] {cluster-id,unregister} ...\n"
	usageClusterID = `usage: kafka-cluster cluster-id [-h] [--config CONFIG]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)
`
	usageUnregister = `usage: kafka-cluster unregister [-h] [--config CONFIG] --id ID
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)
`
)

// TestErrors holds what Kafka's tool was seen to print.
func TestErrors(t *testing.T) {
	tests := []struct{ args, want string }{
		{"", usage + "kafka-cluster: error: too few arguments\n"},
		{"nonsense", usage + "kafka-cluster: error: invalid  choice:  'nonsense'  (choose  from 'cluster-\nid', 'unregister')\n"},
		{"list-endpoints", usage + "kafka-cluster:  error:  invalid   choice:   'list-endpoints'  (choose  from\n'cluster-id', 'unregister')\n"},
		{"clusterid", usage + "kafka-cluster: error: invalid  choice:  'clusterid'  (choose from 'cluster-\nid', 'unregister')\n\nDid you mean:\n\tcluster-id\n"},
		{"cluster-id", usageClusterID + "kafka-cluster:  error:  one  of   the  arguments  --bootstrap-server/-b  --\nbootstrap-controller/-C is required\n"},
		{"cluster-id -b", usageClusterID + "kafka-cluster:  error:   argument   --bootstrap-server/-b:   expected   one\nargument\n"},
		{"cluster-id -b x -C y", usageClusterID + "kafka-cluster: error: argument --bootstrap-controller/-C:  not allowed with\nargument --bootstrap-server/-b\n"},
		{"cluster-id -b x -q", usageClusterID + "kafka-cluster: error: unrecognized arguments: '-q'\n"},
		{"cluster-id -b x foo", usageClusterID + "kafka-cluster: error: unrecognized arguments: 'foo'\n"},
		{"cluster-id --boot x --conf", usageClusterID + "kafka-cluster: error: ambiguous  option:  --boot  could  match --bootstrap-\ncontroller, --bootstrap-server\n"},
		{"cluster-id --boostrap-server x", usageClusterID + "kafka-cluster: error: unrecognized arguments: '--boostrap-server'\n\nDid you mean:\n\t--bootstrap-server\n"},
		{"unregister -b x --ids 3", usageUnregister + "kafka-cluster: error: unrecognized arguments: '--ids'\n\nDid you mean:\n\t--id\n"},
		{"unregister --bootstrap-server x", usageUnregister + "kafka-cluster: error: argument --id/-i is required\n"},
		{"unregister --bootstrap-server x --id abc", usageUnregister + "kafka-cluster: error: argument --id/-i: could  not convert 'abc' to Integer\n(For input string: \"abc\")\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := testParser().Parse(strings.Fields(tt.args))
			failure, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			var b strings.Builder
			failure.Print(&b)
			if b.String() != tt.want {
				t.Errorf("got\n%swant\n%s", b.String(), tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct{ args, command, server, id string }{
		{"cluster-id --bootstrap-server x", "cluster-id", "x", ""},
		{"cluster-id --bootstrap-server=x=y", "cluster-id", "x=y", ""},
		{"clu -bx", "cluster-id", "x", ""},
		{"unreg --bootstrap-s x -b y -i -5", "unregister", "y", "-5"},
	}
	for _, tt := range tests {
		set, err := testParser().Parse(strings.Fields(tt.args))
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		server, _ := set.Value("bootstrap-server")
		if id, _ := set.Value("id"); set.Command != tt.command || server != tt.server || id != tt.id {
			t.Errorf("%s gives %+v", tt.args, set)
		}
	}
}

func TestHelp(t *testing.T) {
	const options = `
optional arguments:
  -h, --help             show this help message and exit
`
	const connection = `  --bootstrap-server BOOTSTRAP_SERVER, -b BOOTSTRAP_SERVER
                         A list of host/port pairs  to use for establishing
                         the connection to the Kafka cluster.
  --bootstrap-controller BOOTSTRAP_CONTROLLER, -C BOOTSTRAP_CONTROLLER
                         A list of host/port pairs  to use for establishing
                         the connection to the KRaft controllers.
  --config CONFIG, -c CONFIG
                         A property file containing  configurations for the
                         Admin client.
`
	tests := []struct{ args, want string }{
		{"-h", usage + `
The Kafka cluster tool.

positional arguments:
  {cluster-id,unregister}
    cluster-id           Get information about the ID of a cluster.
    unregister           Unregister a broker.
` + options},
		{"unregister -b x --help", usageUnregister + options + connection + "  --id ID, -i ID         The ID of the broker to unregister.\n"},
	}
	for _, tt := range tests {
		_, err := testParser().Parse(strings.Fields(tt.args))
		help, ok := errors.AsType[*Help](err)
		if !ok {
			t.Fatalf("%s: got %v", tt.args, err)
		}
		var b strings.Builder
		if help.Print(&b); b.String() != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.args, b.String(), tt.want)
		}
	}
}

// TestPieces holds where Java's BreakIterator was seen to break lines.
func TestPieces(t *testing.T) {
	for _, want := range []string{
		"a:¦9092 ¦1:¦9092 ¦127.0.0.1:¦22061", "x,'y ¦x,¦(y) ¦x,¦{y", "a.¦1 ¦1.¦a ¦a;¦b ¦a;¦1 ¦1;¦a",
		"a!¦b ¦a?¦b ¦a=b ¦a=1 ¦a%¦b ¦1%¦b", `a\b ¦a|b ¦a"¦b`, "(a)¦b ¦a)¦b ¦a¦(b ¦a¦[b] ¦a]¦b ¦a}¦b ¦a¦{b",
		"a,,¦b ¦a..¦b ¦a.,¦b ¦a-¦,¦b", "-¦a ¦--¦a ¦---1 ¦a-¦1 ¦1-¦a ¦(-1 ¦(-¦a ¦'-1 ¦/-¦1 ¦,¦-1", "a  ¦b",
		"/path/to.¦file/x-¦y.¦z", "x:'y' ¦x:¦1 ¦1:¦x ¦a:¦-¦b ¦:¦a ¦,¦a ¦.¦a ¦.¦1", "'cluster-¦id', ¦'x'",
		"Müller-¦ü ¦ü,¦ü", "a@b ¦a#b ¦a&b ¦a*b ¦a+b ¦a<b ¦a>b ¦a^b ¦a~b ¦a`b ¦a$b ¦$1 ¦1$", "a) ¦b", "--¦controller, ¦--¦x", "x]¦-¦y",
	} {
		if got := strings.Join(pieces(strings.ReplaceAll(want, "¦", "")), "¦"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// FuzzParse checks that no command line makes the parser panic, and that every error can be printed.
func FuzzParse(f *testing.F) {
	f.Add("unregister -b x --id=5 -- -")
	f.Add("cluster-id -")
	f.Fuzz(func(t *testing.T, line string) {
		_, err := testParser().Parse(strings.Split(line, " "))
		failure, ok := errors.AsType[*Error](err)
		if !ok {
			return
		}
		var b strings.Builder
		if failure.Print(&b); !strings.Contains(b.String(), "kafka-cluster:") {
			t.Errorf("%q is answered with %q", line, b.String())
		}
	})
}
