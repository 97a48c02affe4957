package config

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withDynamic returns the configuration of a file under what ZooKeeper has.
func withDynamic(t *testing.T, file map[string]string, d Dynamic) *Config {
	t.Helper()
	set := map[string]string{"broker.id": "1", "zookeeper.connect": "z"}
	maps.Copy(set, file)
	c, _, err := New(set)
	if err == nil {
		c, err = c.WithDynamic(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDynamicPrecedence(t *testing.T) {
	c := withDynamic(t, map[string]string{"log.retention.ms": "1", "log.roll.hours": "2", "message.max.bytes": "3", "leader.replication.throttled.rate": "9"}, Dynamic{
		Default: map[string]string{"log.roll.ms": "4", "message.max.bytes": "5", "num.io.threads": "6", "follower.replication.throttled.rate": "7"},
		Broker:  map[string]string{"message.max.bytes": "8", "replica.alter.log.dirs.io.max.bytes.per.second": "10"},
	})
	topic, err := c.Topic(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]int64{
		"the file, if nothing stands over it":           {topic.RetentionMillis, 1},
		"the cluster's default over the file's synonym": {topic.SegmentMillis, 4},
		"this broker's over the cluster's default":      {int64(topic.MaxMessageBytes), 8},
		"the cluster's default":                         {c.Int64("num.io.threads"), 6},
		"a rate that only ZooKeeper can set, of all":    {c.DynamicInt64("follower.replication.throttled.rate"), 7},
		"and of this broker":                            {c.DynamicInt64("replica.alter.log.dirs.io.max.bytes.per.second"), 10},
		"and not from the file":                         {c.DynamicInt64("leader.replication.throttled.rate"), maxLong},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
	again, err := c.WithDynamic(Dynamic{})
	if err != nil || again.Int("message.max.bytes") != 3 {
		t.Errorf("without ZooKeeper's word the file's counts: %v, %v", again, err)
	}
	if names := c.Changed(again); strings.Join(names, " ") != "follower.replication.throttled.rate log.roll.hours log.roll.ms message.max.bytes num.io.threads "+
		"replica.alter.log.dirs.io.max.bytes.per.second" {
		t.Errorf("changed: %v", names)
	}
}

// TestChangesForTheLog: an operator sees from what to what a property went, and no secret.
func TestChangesForTheLog(t *testing.T) {
	file := map[string]string{"num.io.threads": "9", "ssl.key.password": "old"}
	before := withDynamic(t, file, Dynamic{Broker: map[string]string{"message.max.bytes": "1"}})
	after := withDynamic(t, file, Dynamic{Broker: map[string]string{
		"num.io.threads": "12", "listener.name.plaintext.ssl.key.password": "new", "custom": "may be a secret", "log.retention.ms": "5",
	}})
	want := "custom=[hidden] (was unset), listener.name.plaintext.ssl.key.password=[hidden] (was unset), " +
		"log.retention.ms=5 (was unset), message.max.bytes unset (was 1), num.io.threads=12 (was 9)"
	if got := before.Changes(after); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := after.Changes(after); got != "" {
		t.Errorf("no change is %q", got)
	}
	if got := Shown(map[string]string{"retention.ms": "5", "ssl.key.password": "x"}, LookupTopic); got != "retention.ms=5, ssl.key.password=[hidden]" {
		t.Errorf("shown of a topic: %s", got)
	}
}

// TestDescribeDynamic shows whence values come, in the order in which they count.
func TestDescribeDynamic(t *testing.T) {
	c := withDynamic(t, map[string]string{"log.retention.hours": "1", "ssl.key.password": "s"}, Dynamic{
		Default: map[string]string{"log.retention.ms": "60000", "custom": "x"},
		Broker:  map[string]string{"log.retention.ms": " 50000", "listener.name.plaintext.ssl.key.password": "hush"},
	})
	entries := map[string]Entry{}
	for _, e := range c.DescribeBroker() {
		entries[e.Name] = e
	}
	tests := map[string]string{
		"log.retention.ms": `"50000"@2 log.retention.ms=" 50000"@2 log.retention.ms="60000"@3 log.retention.hours="1"@4 log.retention.hours="168"@5`,
		// What ZooKeeper says of log.retention.ms stands before the hours' own.
		"log.retention.hours": `"168"@4 log.retention.hours="1"@4 log.retention.hours="168"@5`,
		"custom":              `null@3 custom=null@3`,
		"listener.name.plaintext.ssl.key.password": `null@2 listener.name.plaintext.ssl.key.password=null@2 ssl.key.password=null@4`,
		"message.max.bytes":                        `"1048588"@5 message.max.bytes="1048588"@5`,
	}
	for name, want := range tests {
		if got := entryText(entries[name]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	defaults := c.DescribeBrokerDefaults()
	if len(defaults) != 2 || entryText(defaults[0]) != `null@3 custom=null@3` || entryText(defaults[1]) != `"60000"@3 log.retention.ms="60000"@3` {
		t.Errorf("of all brokers: %+v", defaults)
	}
	topic, err := c.Topic(map[string]string{"of.the.future": "1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range topic.Describe(c) {
		switch e.Name {
		case "retention.ms":
			if got, want := entryText(e), tests["log.retention.ms"]; got != want {
				t.Errorf("retention.ms: %s, want %s", got, want)
			}
		case "of.the.future":
			if got := entryText(e); got != `null@1 of.the.future=null@1` || !e.Sensitive {
				t.Errorf("a property of a later Kafka: %s", got)
			}
		}
	}
}

func entryText(e Entry) string {
	text := quoted(e.Value) + "@" + string('0'+rune(e.Source))
	for _, s := range e.Synonyms {
		text += " " + s.Name + "=" + quoted(s.Value) + "@" + string('0'+rune(s.Source))
	}
	return text
}

// TestValidateDynamic has Kafka's texts; those of integration/conformance are not repeated.
func TestValidateDynamic(t *testing.T) {
	const wrapped = "Invalid value org.apache.kafka.common.config.ConfigException: "
	const by = " for configuration Invalid dynamic configuration"
	file := map[string]string{
		"listeners": "INTERNAL://:1,EXTERNAL://:2", "listener.security.protocol.map": "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,NEW:PLAINTEXT",
		"inter.broker.listener.name": "INTERNAL", "log.retention.ms": "1000",
	}
	tests := []struct {
		name      string
		set       map[string]string
		forAll    bool
		want      string // "" for what is accepted
		stillWith Dynamic
	}{
		{name: "nothing"},
		{name: "unknown names", set: map[string]string{"x": "", "y.z": "1"}},
		{name: "read-only", set: map[string]string{"broker.id": "2", "log.dirs": "/x", "num.partitions": "x"}, want: "Cannot update these configs dynamically: Set(broker.id, log.dirs, num.partitions)"},
		{name: "wrong type of a listener's", set: map[string]string{"listener.name.external.max.connections": "many"},
			want: "Invalid value many for configuration max.connections: Not a number of type INT"},
		{name: "per broker only, for all", forAll: true, set: map[string]string{"listener.name.internal.ssl.keystore.type": "X", "advertised.listeners": "INTERNAL://h:1"},
			want: "Cannot update these configs at default cluster level, broker id must be specified: Set(advertised.listeners, listener.name.internal.ssl.keystore.type)"},
		{name: "a listener's limits, for all", forAll: true, set: map[string]string{"listener.name.external.max.connections": "7"}},
		{name: "no connections at all", set: map[string]string{"max.connections": "0"}, want: wrapped + "Invalid max.connections 0" + by},
		{name: "threads of a listener", set: map[string]string{"listener.name.internal.num.network.threads": "7"},
			want: wrapped + "Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current value 3" + by},
		{name: "as many threads as can be", set: map[string]string{"num.io.threads": "16", "background.threads": "5", "num.replica.fetchers": "2", "num.network.threads": "6"}},
		{name: "no thread of the cleaner", set: map[string]string{"log.cleaner.threads": "0"}, want: wrapped + "Log cleaner threads should be at least 1" + by},
		{name: "too many threads of the cleaner at once", set: map[string]string{"log.cleaner.threads": "3"},
			want: wrapped + "Log cleaner threads cannot be increased to more than double the current value 1" + by},
		{name: "a slower cleaner", forAll: true, set: map[string]string{"log.cleaner.io.max.bytes.per.second": "1000", "log.cleaner.threads": "2"}},
		{name: "what only a start checks", set: map[string]string{"log.cleaner.min.compaction.lag.ms": "5", "log.cleaner.max.compaction.lag.ms": "4"}},
		{name: "local retention", set: map[string]string{"log.local.retention.ms": "2000"},
			want: wrapped + "Invalid value 2000 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 1000" + by},
		{name: "unlimited local retention", set: map[string]string{"log.local.retention.ms": "-1"},
			want: wrapped + "Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 as log.retention.ms value is set as 1000." + by},
		{name: "a listener more", set: map[string]string{"listeners": "INTERNAL://:1,EXTERNAL://:2,NEW://:3"}},
		{name: "without the brokers' listener", set: map[string]string{"listeners": "EXTERNAL://:2"},
			want: "requirement failed: inter.broker.listener.name must be a listener name defined in advertised.listeners. " +
				"The valid options based on currently configured listeners are EXTERNAL"},
		{name: "together with this broker's", forAll: true, set: map[string]string{"max.connections.per.ip": "0"},
			stillWith: Dynamic{Broker: map[string]string{"max.connections.per.ip.overrides": "10.0.0.1:5"}}},
		{name: "together with nothing", forAll: true, set: map[string]string{"max.connections.per.ip": "0"},
			want: "requirement failed: max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."},
		{name: "something else of a listener that stays", set: map[string]string{"max.connections": "6", "listener.name.internal.custom": "y"}, want: wrapped +
			"Configs cannot be updated dynamically for existing listener ListenerName(INTERNAL), restart broker or create a new listener for update" + by},
		{name: "what is not supported", set: map[string]string{"metric.reporters": "a.B"},
			want: "metric.reporters=a.B is not supported and must be removed. Java classes that metrics are given to; there are none but org.apache.kafka.common.metrics.JmxReporter, which may be named."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := withDynamic(t, file, tt.stillWith).ValidateDynamic(tt.set, !tt.forAll); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestFromStore: what others have written counts as far as it is valid.
func TestFromStore(t *testing.T) {
	c := withDynamic(t, map[string]string{"password.encoder.secret": "encoder-secret"}, Dynamic{})
	stored := map[string]string{
		"num.io.threads": "0", "message.max.bytes": "5", "broker.rack": "r", "ssl.key.password": "p", "x": "y", "metric.reporters": "a.B",
		"listener.name.internal.ssl.key.password": "garbage", "listener.name.internal.max.connections": "3", "listeners": "PLAINTEXT://:1",
	}
	got := c.FromStore(stored, false)
	if want := map[string]string{"message.max.bytes": "5", "x": "y", "listener.name.internal.max.connections": "3"}; !maps.Equal(got.Set, want) {
		t.Errorf("what counts for all: %v, want %v", got.Set, want)
	}
	if want := map[string]string{"metric.reporters": "a.B"}; !maps.Equal(got.Unsupported, want) {
		t.Errorf("unsupported: %v", got.Unsupported)
	}
	if len(got.Ignored) != 5 {
		t.Errorf("ignored: %q", got.Ignored)
	}
	if len(stored) != 9 {
		t.Error("what was stored has been changed")
	}
	got = c.FromStore(stored, true)
	if got.Set["listeners"] == "" || len(got.Ignored) != 5 {
		t.Errorf("what counts for one: %+v", got)
	}
}

// What a listener cannot have of its own of a property that is read-only does not cost the rest.
func TestFromStoreIgnoresWhatIsWrongForAListener(t *testing.T) {
	c := withDynamic(t, nil, Dynamic{})
	const wrong, right = "listener.name.internal.connections.max.idle.ms", "listener.name.internal.socket.send.buffer.bytes"
	stored := c.FromStore(map[string]string{wrong: "long", right: "5", "message.max.bytes": "6"}, true)
	if len(stored.Ignored) != 1 || !strings.Contains(stored.Ignored[0], wrong) {
		t.Errorf("ignored: %q", stored.Ignored)
	}
	now, err := c.WithDynamic(Dynamic{Broker: stored.Set})
	if err != nil {
		t.Fatal(err)
	}
	if own, ok := now.ListenerInt("INTERNAL", "socket.send.buffer.bytes"); !ok || own != 5 || now.Int("message.max.bytes") != 6 {
		t.Errorf("of its own %d, %v; for all %d", own, ok, now.Int("message.max.bytes"))
	}
}

// TestPasswords decodes what Kafka has encoded, and its own.
func TestPasswords(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "passwords.txt"))
	if err != nil {
		t.Fatal(err)
	}
	c := withDynamic(t, map[string]string{"password.encoder.secret": "encoder-secret"}, Dynamic{})
	const name = "listener.name.internal.ssl.keystore.password"
	for line := range strings.Lines(string(text)) {
		want, encoded, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if got := c.FromStore(map[string]string{name: encoded}, true).Set[name]; got != want {
			t.Errorf("decoded %q, want %q", got, want)
		}
	}
	for _, how := range []map[string]string{
		{}, {"password.encoder.cipher.algorithm": "AES/GCM/NoPadding", "password.encoder.key.length": "256"},
		{"password.encoder.keyfactory.algorithm": "PBKDF2WithHmacSHA1", "password.encoder.iterations": "1024"},
	} {
		how["password.encoder.secret"] = "s"
		c := withDynamic(t, how, Dynamic{})
		for _, password := range []string{"", "p", "sixteen letters!", "schön 🔑"} {
			stored, err := c.ToStore(map[string]string{name: password, "x": "y"}, true)
			if err != nil || strings.Contains(stored[name], "letters") || stored["x"] != "y" {
				t.Fatalf("stored as %v, %v", stored, err)
			}
			if got := c.FromStore(stored, true).Set[name]; got != password {
				t.Errorf("%q became %q", password, got)
			}
			how["password.encoder.secret"], how["password.encoder.old.secret"] = "new", "s"
			again, write, err := withDynamic(t, how, Dynamic{}).Reencode(stored)
			if err != nil || !write || again[name] == stored[name] {
				t.Fatalf("encoded anew as %v, %v, %v", again, write, err)
			}
			if got := withDynamic(t, how, Dynamic{}).FromStore(again, true).Set[name]; got != password {
				t.Errorf("%q became %q under another secret", password, got)
			}
			if third, _, _ := withDynamic(t, how, Dynamic{}).Reencode(again); third[name] != again[name] {
				t.Error("what the old secret does not decode is changed all the same")
			}
			how["password.encoder.secret"] = "s"
			delete(how, "password.encoder.old.secret")
		}
	}
	_, err = withDynamic(t, nil, Dynamic{}).ToStore(map[string]string{name: "p"}, true)
	if err == nil || err.Error() != "Password encoder secret not configured" {
		t.Errorf("without a secret: %v", err)
	}
	_, err = c.ToStore(map[string]string{name: "p"}, false)
	if err == nil || err.Error() != "Password config can be defined only at broker level" {
		t.Errorf("for all brokers: %v", err)
	}
}

// What cannot be a password's key is not derived: with these figures that would take days, while the broker starts.
func TestPasswordsKeyIsBounded(t *testing.T) {
	c := withDynamic(t, map[string]string{"password.encoder.secret": "s"}, Dynamic{})
	const name = "listener.name.internal.ssl.key.password"
	stored := c.FromStore(map[string]string{name: "keyLength:2147483640,salt:AA==,iterations:4194304,keyFactoryAlgorithm:PBKDF2WithHmacSHA1," +
		"cipherAlgorithm:AES/CBC/PKCS5Padding,encryptedPassword:AAAAAAAAAAAAAAAAAAAAAA==,passwordLength:1,initializationVector:AAAAAAAAAAAAAAAAAAAAAA=="}, true)
	if _, counts := stored.Set[name]; counts || len(stored.Ignored) != 1 {
		t.Errorf("%+v", stored)
	}
}

// FuzzFromStore: whatever stands in ZooKeeper, what counts of it makes no configuration panic.
func FuzzFromStore(f *testing.F) {
	f.Add("num.io.threads", "8", true)
	f.Add("listeners", "A://:1,B://:2", true)
	f.Add("listener.name.internal.ssl.key.password", "keyLength:128,salt:AA==,iterations:1,keyFactoryAlgorithm:PBKDF2WithHmacSHA1,"+
		"cipherAlgorithm:AES/CBC/PKCS5Padding,encryptedPassword:AAAAAAAAAAAAAAAAAAAAAA==,passwordLength:1,initializationVector:AAAAAAAAAAAAAAAAAAAAAA==", true)
	f.Add("max.connections.per.ip.overrides", "h:1,x", false)
	static, _, err := New(map[string]string{"broker.id": "1", "zookeeper.connect": "z", "password.encoder.secret": "s"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value string, perBroker bool) {
		if strings.Contains(value, "iterations:") && len(value) > 400 {
			return // slow, not interesting
		}
		stored := static.FromStore(map[string]string{name: value}, perBroker)
		d := Dynamic{Default: stored.Set}
		if perBroker {
			d = Dynamic{Broker: stored.Set}
		}
		c, err := static.WithDynamic(d)
		if err != nil {
			return
		}
		c.DescribeBroker()
		c.DescribeBrokerDefaults()
		static.CheckChange(c)
		if _, err := c.Topic(nil); err != nil {
			t.Errorf("a broker's configuration makes no topic's: %v", err)
		}
	})
}
