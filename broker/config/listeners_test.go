package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestListeners(t *testing.T) {
	tests := []struct {
		name, set string // properties separated by spaces
		want      []Endpoint
		problem   string
	}{
		{name: "default", want: []Endpoint{{Listener: "PLAINTEXT", Port: 9092}}},
		{name: "several", set: "listeners=plaintext://127.0.0.1:0,Other://[::1]:9093 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,other:plaintext",
			want: []Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1"}, {Listener: "OTHER", Host: "::1", Port: 9093}}},
		{name: "IPv4 and IPv6 on one port", set: "listeners=A://0.0.0.0:9092,B://[::]:9092 listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT " +
			"advertised.listeners=A://h:9092 inter.broker.listener.name=A",
			want: []Endpoint{{Listener: "A", Host: "0.0.0.0", Port: 9092}, {Listener: "B", Host: "::", Port: 9092}}},
		{name: "two IPv4 on one port", set: "listeners=A://1.1.1.1:9092,B://1.1.1.2:9092 listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT inter.broker.listener.name=A",
			problem: "requirement failed: If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, listeners: A://1.1.1.1:9092,B://1.1.1.2:9092, port: 9092"},
		{name: "address and name on one port", set: "listeners=A://1.1.1.1:9092,B://h:9092 listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT inter.broker.listener.name=A",
			problem: "Each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 address, listeners: A://1.1.1.1:9092,B://h:9092, port: 9092"},
		{name: "name twice", set: "listeners=PLAINTEXT://:1,PLAINTEXT://:2",
			problem: "requirement failed: Each listener must have a different name, listeners: PLAINTEXT://:1,PLAINTEXT://:2"},
		{name: "no port", set: "listeners=PLAINTEXT://h",
			problem: "Error creating broker listeners from 'PLAINTEXT://h': Unable to parse PLAINTEXT://h to a broker endpoint"},
		{name: "no name", set: "listeners=://h:1",
			problem: "Error creating broker listeners from '://h:1': The provided listener name is null or empty string"},
		{name: "huge port", set: "listeners=PLAINTEXT://h:99999999999",
			problem: `Error creating broker listeners from 'PLAINTEXT://h:99999999999': For input string: "99999999999"`},
		{name: "unknown protocol", set: "listener.security.protocol.map=PLAINTEXT:CLEAR",
			problem: "listener.security.protocol.map=PLAINTEXT:CLEAR: Invalid security protocol `CLEAR` defined in listener.security.protocol.map"},
		{name: "no protocol", set: "listener.security.protocol.map=PLAINTEXT",
			problem: "Error parsing configuration property 'listener.security.protocol.map': 'PLAINTEXT' is not of the form key:value"},
		{name: "brokers' listener unmapped", set: "inter.broker.listener.name=inside",
			problem: "inter.broker.listener.name=inside: Listener with name INSIDE defined in inter.broker.listener.name not found in listener.security.protocol.map."},
		{name: "advertised but not there", set: "listeners=PLAINTEXT://:1 advertised.listeners=PLAINTEXT://h:1,SSL://h:2",
			problem: "advertised.listeners=PLAINTEXT://h:1,SSL://h:2: requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. " +
				"Found PLAINTEXT,SSL. The valid options based on the current configuration are PLAINTEXT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Load("", strings.Fields(tt.set))
			if tt.problem != "" {
				if want := "configuration: " + tt.problem; err == nil || err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c, _, _ := Load("", strings.Fields(tt.set))
			if diff := cmp.Diff(tt.want, c.Listeners()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLimitsOfHostsAndListeners(t *testing.T) {
	c, _, err := Load("", []string{"max.connections.per.ip.overrides= 10.0.0.1 : 5 ,::1:6,db:7", "listener.name.plaintext.max.connections=9"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"10.0.0.1": 5, "::1": 6, "db": 7}, c.MaxConnectionsPerIP()); diff != "" {
		t.Error(diff)
	}
	if n, ok := c.ListenerInt("PLAINTEXT", "max.connections"); n != 9 || !ok {
		t.Errorf("max.connections of the listener is %d, %v", n, ok)
	}
	if _, ok := c.ListenerInt("OTHER", "max.connections"); ok {
		t.Error("a listener has a limit that nobody set")
	}
}

func TestGetters(t *testing.T) {
	c, _, err := Load("", []string{"connections.max.idle.ms=-1", "log.cleaner.min.cleanable.ratio= .25f"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Millis("connections.max.idle.ms"); got != -time.Millisecond {
		t.Errorf("never is %v", got)
	}
	if got := c.Millis("log.flush.scheduler.interval.ms"); got < 290*365*24*time.Hour {
		t.Errorf("the longest time is %v", got)
	}
	if got := c.Float("log.cleaner.min.cleanable.ratio"); got != 0.25 {
		t.Errorf("the ratio is %v", got)
	}
	if c.Has("broker.rack") || c.Text("broker.rack") != "" || c.IsSet("num.partitions") || !c.Has("num.partitions") {
		t.Error("what is set, and what has a value, is wrong")
	}
	defer func() {
		if recover() == nil {
			t.Error("a number was read as text")
		}
	}()
	c.Text("num.partitions")
}

func TestDoublesAreShownAsJavaShowsThem(t *testing.T) {
	tests := map[string]string{"0": "0.0", "2": "2.0", "0.5": "0.5", "1e7": "1.0E7", "9999999": "9999999.0", "0.001": "0.001", "0.0005": "5.0E-4",
		"1.7976931348623157E308": "1.7976931348623157E308", "-12.5": "-12.5", "NaN": "NaN", "-Infinity": "-Infinity", "1e999": "Infinity", "3d": "3.0", "0x1p3": "8.0", "-0X.8P1f": "-1.0"}
	for text, want := range tests {
		value, problem := Double.parse(text)
		if problem != "" || format(value) != want {
			t.Errorf("%s is shown as %s (%s), want %s", text, format(value), problem, want)
		}
	}
	for _, text := range []string{"", "1_000.0", "inf", "nan", "0x10", "0x1p", "1e", "--1", "."} {
		if value, problem := Double.parse(text); problem == "" {
			t.Errorf("%q was read as %v", text, value)
		}
	}
}
