package consume

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

func testEnv() (*tool.Env, *strings.Builder) {
	var log strings.Builder
	return &tool.Env{Stdout: &log, Stderr: &log, Now: time.Now, Kafka: true}, &log
}

func testRecord() *kgo.Record {
	return &kgo.Record{Topic: "t", Partition: 3, Offset: 42, Timestamp: time.UnixMilli(1700000000123),
		Key: []byte("k"), Value: []byte("v"),
		Headers: []kgo.RecordHeader{{Key: "h1", Value: []byte("a")}, {Key: "h2", Value: nil}}}
}

func TestDefaultFormatter(t *testing.T) {
	all := []string{"print.timestamp=true", "print.partition=true", "print.offset=true", "print.headers=true", "print.key=true"}
	none := &kgo.Record{}
	tests := []struct {
		name       string
		properties []string
		record     *kgo.Record
		want       string
	}{
		{"value", nil, testRecord(), "v\n"},
		{"everything", all, testRecord(), "CreateTime:1700000000123\tPartition:3\tOffset:42\th1:a,h2:null\tk\tv\n"},
		{"nulls", all[3:], none, "NO_HEADERS\tnull\tnull\n"},
		{"no value", append(all[1:3:3], "print.value=false"), testRecord(), "Partition:3\tOffset:42\n"},
		{"key only", []string{"print.key=TRUE ", "print.value=no"}, testRecord(), "k\n"},
		{"nothing", []string{"print.value=false"}, testRecord(), ""},
		{"separators", append(all[2:], "key.separator= => ", "headers.separator=;", "line.separator=|", "null.literal=NULL"), testRecord(),
			"Offset:42 => h1:a;h2:NULL => k => v|"},
		{"deserializers", append(all[3:], "key.deserializer="+serialization+"BytesDeserializer", "value.deserializer="+serialization+"StringDeserializer"),
			testRecord(), "h1:a,h2:null\tk\tv\n"},
		{"no text", append(all[3:], "key.deserializer="+serialization+"StringDeserializer"),
			&kgo.Record{Key: []byte("k\xff"), Value: []byte("v\xff"), Headers: []kgo.RecordHeader{{Key: "h\xff", Value: []byte("\xff")}}},
			"h\ufffd:\xff\tk\ufffd\tv\xff\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env, _ := testEnv()
			got, err := newDefaultFormatter(env, clientconf.ParsePairs(tt.properties)).format([]byte("before "), tt.record)
			if err != nil || string(got) != "before "+tt.want {
				t.Errorf("got %q, %v, want %q", got, err, "before "+tt.want)
			}
		})
	}
}

func TestTimestampTypes(t *testing.T) {
	for kind, want := range map[int8]string{0: "CreateTime:7", 1: "LogAppendTime:7", -1: "NO_TIMESTAMP"} {
		r := &kgo.Record{Timestamp: time.UnixMilli(7), Attrs: kgo.NewRecordAttrs(kgo.RecordAttrsOpts{TimestampType: kind})}
		if got := string(appendTimestamp(nil, r)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDeserializers(t *testing.T) {
	tests := []struct{ class, field, want string }{ // field in hexadecimal
		{"StringDeserializer", "6162", "ab"},
		{"ByteArrayDeserializer", "00ff", "\x00\xff"},
		{"BytesDeserializer", "61005c7e7f", `a\x00\x5C~\x7F`},
		{"BooleanDeserializer", "01", "true"},
		{"BooleanDeserializer", "00", "false"},
		{"BooleanDeserializer", "02", "Unexpected byte received by BooleanDeserializer: 2"},
		{"BooleanDeserializer", "0000", "Size of data received by BooleanDeserializer is not 1"},
		{"ShortDeserializer", "ffff", "-1"},
		{"IntegerDeserializer", "7fffffff", "2147483647"},
		{"LongDeserializer", "8000000000000000", "-9223372036854775808"},
		{"LongDeserializer", "6e756c6c", "Size of data received by LongDeserializer is not 8"},
		{"FloatDeserializer", "3f800000", "1.0"},
		{"FloatDeserializer", "3dcccccd", "0.1"},
		{"DoubleDeserializer", "3ff8000000000000", "1.5"},
		{"DoubleDeserializer", "4202a05f20000000", "1.0E10"},
		{"DoubleDeserializer", "bf1a36e2eb1c432d", "-1.0E-4"},
		{"DoubleDeserializer", "0000000000000000", "0.0"},
		{"DoubleDeserializer", "7ff8000000000000", "NaN"},
		{"DoubleDeserializer", "fff0000000000000", "-Infinity"},
		{"DoubleDeserializer", "7ff0000000000000", "Infinity"},
		{"UUIDDeserializer", hex.EncodeToString([]byte("123E4567-e89b-12d3-a456-426614174000")), "123e4567-e89b-12d3-a456-426614174000"},
		{"UUIDDeserializer", "00", "Error parsing data into UUID"},
	}
	for _, tt := range tests {
		field, err := hex.DecodeString(tt.field)
		if err != nil {
			t.Fatal(err)
		}
		got, err := deserializers[serialization+tt.class](nil, field)
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if text != tt.want {
			t.Errorf("%s of %s gives %q, want %q", tt.class, tt.field, text, tt.want)
		}
	}
	env, log := testEnv()
	if newDeserializer(env, clientconf.Properties{"key.deserializer": "foo.Bar"}, "key.deserializer") != nil ||
		!strings.Contains(log.String(), "ERROR Unable to instantiate a deserializer from foo.Bar (") {
		t.Errorf("an unknown deserializer is logged as %q", log)
	}
}

func TestNewFormatter(t *testing.T) {
	tests := []struct{ args, want, log string }{ // what a record is printed as, or the error
		{"", "v\n", ""},
		{"--formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter", "", ""},
		{"--formatter kafka.tools.LoggingMessageFormatter", "v\n", "WARNING: kafka.tools.LoggingMessageFormatter is deprecated and will be " +
			"removed in the next major release. Please use org.apache.kafka.tools.consumer.LoggingMessageFormatter instead\n"},
		{"--formatter foo.Bar", "foo.Bar", ""},
		{"--formatter-config nofile", "nofile", ""},
		{"--property print.key=true --property key.separator=-", "k-v\n", ""},
		{"--key-deserializer " + serialization + "LongDeserializer --property print.key=true", "Size of data received by LongDeserializer is not 8", ""},
	}
	for _, tt := range tests {
		set, err := options().Parse(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		env, log := testEnv()
		formatter, err := newFormatter(env, set)
		var got []byte
		if err == nil {
			got, err = formatter.format(nil, testRecord())
		}
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if text != tt.want || log.String() != tt.log {
			t.Errorf("%q gives %q and logs %q, want %q and %q", tt.args, text, log, tt.want, tt.log)
		}
	}
}

// coordinatorRecords are records of the brokers' own topics, by what they are about.
func coordinatorRecords() map[string]*kgo.Record {
	offsetKey := kmsg.OffsetCommitKey{Version: 1, Group: "cg1", Topic: "orders", Partition: 4}
	offset := kmsg.OffsetCommitValue{Version: 3, Offset: 3, LeaderEpoch: 0, CommitTimestamp: 1795330698393}
	groupKey := kmsg.GroupMetadataKey{Version: 2, Group: "cg1"}
	group := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 1, Protocol: kmsg.StringPtr("range"), Leader: kmsg.StringPtr("m1"),
		CurrentStateTimestamp: 1000, Members: []kmsg.GroupMetadataValueMember{{MemberID: "m1", ClientID: "c", ClientHost: "/127.0.0.1",
			RebalanceTimeoutMillis: 300000, SessionTimeoutMillis: 45000, Subscription: []byte{0, 3}, Assignment: []byte{0xff}}}}
	transactionKey := kmsg.TxnMetadataKey{Version: 0, TransactionalID: "t1"}
	transaction := kmsg.TxnMetadataValue{Version: 0, ProducerID: 28, ProducerEpoch: 1, TimeoutMillis: 60000, State: 1, LastUpdateTimestamp: 5, StartTimestamp: 4,
		Topics: []kmsg.TxnMetadataValueTopic{{Topic: "orders", Partitions: []int32{1, 2}}}}
	return map[string]*kgo.Record{
		"offset":              {Key: offsetKey.AppendTo(nil), Value: offset.AppendTo(nil)},
		"offset deleted":      {Key: offsetKey.AppendTo(nil)},
		"group":               {Key: groupKey.AppendTo(nil), Value: group.AppendTo(nil)},
		"group deleted":       {Key: groupKey.AppendTo(nil)},
		"transaction":         {Key: transactionKey.AppendTo(nil), Value: transaction.AppendTo(nil)},
		"transaction deleted": {Key: transactionKey.AppendTo(nil)},
		"unknown":             {Key: []byte{0, 9}, Value: []byte{0, 9}},
		"no key":              {Value: []byte{0, 9}},
	}
}

func TestCoordinatorFormatters(t *testing.T) {
	tests := []struct {
		format formatterFunc
		record string
		want   string
	}{
		{formatOffset, "offset", "[cg1,orders,4]::OffsetAndMetadata(offset=3, leaderEpoch=Optional[0], metadata=, commitTimestamp=1795330698393, expireTimestamp=None)\n"},
		{formatOffset, "offset deleted", "[cg1,orders,4]::NULL\n"},
		{formatOffset, "group", ""},
		{formatOffset, "no key", ""},
		{formatGroup, "group", "cg1::GroupMetadata(groupId=cg1, generation=1, protocolType=Some(consumer), currentState=Stable, members=HashMap(" +
			"m1 -> MemberMetadata(memberId=m1, groupInstanceId=None, clientId=c, clientHost=/127.0.0.1, sessionTimeoutMs=45000, " +
			"rebalanceTimeoutMs=300000, supportedProtocols=List(range))))\n"},
		{formatGroup, "group deleted", "cg1::NULL\n"},
		{formatGroup, "offset", ""},
		{formatTransaction, "transaction", "t1::TransactionMetadata(transactionalId=t1, producerId=28, producerEpoch=1, txnTimeoutMs=60000, state=Ongoing, " +
			"pendingState=None, topicPartitions=HashSet(orders-1, orders-2), txnStartTimestamp=4, txnLastUpdateTimestamp=5)\n"},
		{formatTransaction, "transaction deleted", "t1::NULL\n"},
		{formatTransaction, "unknown", "unknown::version=9\n"},
		{formatOffsetJSON, "offset", `{"key":{"version":1,"data":{"group":"cg1","topic":"orders","partition":4}},` +
			`"value":{"version":3,"data":{"offset":3,"leaderEpoch":0,"metadata":"","commitTimestamp":1795330698393}}}`},
		{formatOffsetJSON, "offset deleted", `{"key":{"version":1,"data":{"group":"cg1","topic":"orders","partition":4}},"value":null}`},
		{formatOffsetJSON, "group", ""},
		{formatOffsetJSON, "unknown", `{"key":{"version":9,"data":"unknown"},"value":{"version":9,"data":"unknown"}}`},
		{formatOffsetJSON, "no key", `{"key":null,"value":{"version":9,"data":"unknown"}}`},
		{formatGroupJSON, "group", `{"key":{"version":2,"data":{"group":"cg1"}},"value":{"version":3,"data":{"protocolType":"consumer","generation":1,` +
			`"protocol":"range","leader":"m1","currentStateTimestamp":1000,"members":[{"memberId":"m1","groupInstanceId":null,"clientId":"c",` +
			`"clientHost":"/127.0.0.1","rebalanceTimeout":300000,"sessionTimeout":45000,"subscription":"AAM=","assignment":"/w=="}]}}}`},
		{formatGroupJSON, "offset", ""},
		{formatTransactionJSON, "transaction", `{"key":{"version":0,"data":{"transactionalId":"t1"}},"value":{"version":0,"data":{"producerId":28,` +
			`"producerEpoch":1,"transactionTimeoutMs":60000,"transactionStatus":1,"transactionPartitions":[{"topic":"orders","partitionIds":[1,2]}],` +
			`"transactionLastUpdateTimestampMs":5,"transactionStartTimestampMs":4}}}`},
		{formatTransactionJSON, "unknown", `{"key":{"version":9,"data":"unknown"},"value":{"version":9,"data":"unknown"}}`},
	}
	for _, tt := range tests {
		got, err := tt.format(nil, coordinatorRecords()[tt.record])
		if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.record, err, diff)
		}
	}
}

// FuzzCoordinatorFormatters checks that no bytes make a formatter panic, and that errors are Kafka's.
func FuzzCoordinatorFormatters(f *testing.F) {
	for _, r := range coordinatorRecords() {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		for class, format := range formatters {
			if _, err := format(nil, &kgo.Record{Key: key, Value: value}); err != nil && throwable.From(err).Class == throwable.Kafka {
				t.Errorf("%s fails with %v", class, err)
			}
		}
	})
}

func BenchmarkFormat(b *testing.B) {
	env, _ := testEnv()
	f := newDefaultFormatter(env, nil)
	r := &kgo.Record{Value: make([]byte, 100)}
	var dst []byte
	b.SetBytes(101)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = f.format(dst[:0], r)
	}
}
