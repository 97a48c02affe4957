package checkpoint

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

var someOffsets = Offsets{
	{Topic: "orders", Index: 0}:             17,
	{Topic: "orders", Index: 10}:            0,
	{Topic: "__consumer_offsets", Index: 3}: 9223372036854775807,
}

const someOffsetsText = "0\n3\n__consumer_offsets 3 9223372036854775807\norders 0 17\norders 10 0\n"

func TestOffsets(t *testing.T) {
	if got := string(someOffsets.AppendTo(nil)); got != someOffsetsText {
		t.Errorf("AppendTo = %q, want %q", got, someOffsetsText)
	}
	tests := []struct {
		name, text string
		want       Offsets // nil: malformed
	}{
		{"as written", someOffsetsText, someOffsets},
		{"empty file, as Kafka creates it", "", Offsets{}},
		{"version only", "0\n", Offsets{}},
		{"no entries", "0\n0\n", Offsets{}},
		{"no last newline, tabs, CRLF", "0\r\n1\r\na\t1  2", Offsets{{Topic: "a", Index: 1}: 2}},
		{"other version", "1\n0\n", nil},
		{"no version", "x\n", nil},
		{"too few", "0\n2\na 1 2\n", nil},
		{"too many", "0\n1\na 1 2\nb 1 2\n", nil},
		{"negative count", "0\n-1\n", nil},
		{"huge count", "0\n2147483647\n", nil},
		{"two fields", "0\n1\na 1\n", nil},
		{"four fields", "0\n1\na 1 2 3\n", nil},
		{"bad partition", "0\n1\na x 2\n", nil},
		{"bad offset", "0\n1\na 1 99999999999999999999\n", nil},
		{"empty line", "0\n1\n\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseOffsets([]byte(tt.text))
			if tt.want == nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("ParseOffsets = %v, %v", got, err)
				}
				return
			}
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("ParseOffsets = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestEpochs(t *testing.T) {
	entries := []epoch.Entry{{Epoch: 0, Start: 0}, {Epoch: 5, Start: 120}}
	const text = "0\n2\n0 0\n5 120\n"
	if got := string(AppendEpochs(nil, entries)); got != text {
		t.Errorf("AppendEpochs = %q", got)
	}
	if got, err := ParseEpochs([]byte(text)); err != nil || !slices.Equal(got, entries) {
		t.Errorf("ParseEpochs = %v, %v", got, err)
	}
	for _, bad := range []string{"0\n1\n1\n", "0\n1\n1 2 3\n", "0\n1\n2147483648 0\n"} {
		if _, err := ParseEpochs([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseEpochs(%q): %v", bad, err)
		}
	}
}

func TestPartitionMetadata(t *testing.T) {
	id, err := topic.ParseID("ASNFZ4mrze-BI0VniavN7w")
	if err != nil {
		t.Fatal(err)
	}
	const text = "version: 0\ntopic_id: ASNFZ4mrze-BI0VniavN7w"
	if got := string(AppendPartitionMetadata(nil, id)); got != text {
		t.Errorf("AppendPartitionMetadata = %q", got)
	}
	for _, good := range []string{text, text + "\n", strings.Replace(text, "0", "1", 1)} {
		if got, err := ParsePartitionMetadata([]byte(good)); err != nil || got != id {
			t.Errorf("ParsePartitionMetadata(%q) = %v, %v", good, got, err)
		}
	}
	for _, bad := range []string{
		"", "version: 0", "version: 0\n", "version:0\ntopic_id:x", "version: -1\ntopic_id: ASNFZ4mrze-BI0VniavN7w",
		"version: x\ntopic_id: ASNFZ4mrze-BI0VniavN7w", "version: 0\ntopic_id: short",
		"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
	} {
		if got, err := ParsePartitionMetadata([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParsePartitionMetadata(%q) = %v, %v", bad, got, err)
		}
	}
}

func TestMetaProperties(t *testing.T) {
	// As a Kafka 3.9 broker writes it: the order is that of the JVM's hash table.
	const text = "#\n#Sun Nov 22 08:50:46 UTC 2026\n" +
		"broker.id=7\ndirectory.id=Xq6OOu0tRUmFfPlLYjOE4A\nversion=0\ncluster.id=kXl2EVgbQP6d3wPRP7Zn0w\n"
	want := MetaProperties{
		BrokerID: 7, ClusterID: "kXl2EVgbQP6d3wPRP7Zn0w",
		Other: map[string]string{"directory.id": "Xq6OOu0tRUmFfPlLYjOE4A"},
	}
	got, err := ParseMetaProperties([]byte(text))
	if err != nil || !equalMeta(got, want) {
		t.Errorf("ParseMetaProperties = %+v, %v", got, err)
	}
	now := time.Date(2026, 11, 22, 8, 50, 46, 0, time.UTC)
	if out := string(want.AppendTo(nil, now)); out != text {
		t.Errorf("AppendTo = %q, want %q", out, text)
	}

	parse := []struct {
		name, text string
		want       *MetaProperties // nil: malformed
	}{
		{"empty", "", &MetaProperties{BrokerID: -1}},
		{"blanks and colons", " broker.id : 3\ncluster.id x\n", &MetaProperties{BrokerID: 3, ClusterID: "x"}},
		{"expansion is left alone", "cluster.id=${HOME}\n", &MetaProperties{BrokerID: -1, ClusterID: "${HOME}"}},
		{"KRaft", "version=1\nnode.id=4\ncluster.id=c\n", &MetaProperties{Version: 1, BrokerID: 4, ClusterID: "c"}},
		{"KRaft without node", "version=1\ncluster.id=c\n", nil},
		{"unknown version", "version=2\n", nil},
		{"bad id", "broker.id=seven\n", nil},
		{"id out of range", "broker.id=2147483648\n", nil},
	}
	for _, tt := range parse {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMetaProperties([]byte(tt.text))
			if tt.want == nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("got %+v, %v", got, err)
				}
			} else if err != nil || !equalMeta(got, *tt.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func equalMeta(a, b MetaProperties) bool {
	return a.Version == b.Version && a.BrokerID == b.BrokerID && a.ClusterID == b.ClusterID && maps.Equal(a.Other, b.Other)
}

func TestPropertiesAreEscaped(t *testing.T) {
	odd := MetaProperties{BrokerID: 1, ClusterID: " =:#!\\ \t\r\n\fé世", Other: map[string]string{"a b=c:": "x y"}}
	text := odd.AppendTo(nil, time.Unix(0, 0))
	if got, err := ParseMetaProperties(text); err != nil || !equalMeta(got, odd) {
		t.Errorf("%s comes back as %+v, %v", text, got, err)
	}
}

func TestFilesRoundTrip(t *testing.T) {
	m := vfs.NewMem()
	id := topic.NewID()
	meta := MetaProperties{BrokerID: 2, ClusterID: "c", Other: map[string]string{}}
	epochs := []epoch.Entry{{Epoch: 1, Start: 2}}
	if err := errors.Join(
		WriteOffsets(m, RecoveryPoints, someOffsets),
		vfs.WriteFile(m, LeaderEpochs, AppendEpochs(nil, epochs)),
		vfs.WriteFile(m, PartitionMetadata, AppendPartitionMetadata(nil, id)),
		WriteMetaProperties(m, ".", meta, time.Unix(0, 0)),
		WriteCleanShutdown(m, ".", -1),
	); err != nil {
		t.Fatal(err)
	}
	m = m.CrashClone(nil)
	if got, err := ReadOffsets(m, RecoveryPoints); err != nil || !maps.Equal(got, someOffsets) {
		t.Errorf("ReadOffsets = %v, %v", got, err)
	}
	if got, err := ReadEpochs(m, LeaderEpochs); err != nil || !slices.Equal(got, epochs) {
		t.Errorf("ReadEpochs = %v, %v", got, err)
	}
	if got, ok, err := ReadPartitionMetadata(m, PartitionMetadata); err != nil || !ok || got != id {
		t.Errorf("ReadPartitionMetadata = %v, %v, %v", got, ok, err)
	}
	if got, ok, err := ReadMetaProperties(m, "."); err != nil || !ok || !equalMeta(got, meta) {
		t.Errorf("ReadMetaProperties = %v, %v, %v", got, ok, err)
	}
	if data, _ := vfs.ReadFile(m, CleanShutdown); string(data) != `{"version":0,"brokerEpoch":-1}` {
		t.Errorf("clean shutdown file holds %q", data)
	}
	if clean, epoch, err := TakeCleanShutdown(m, "."); !clean || epoch != -1 || err != nil {
		t.Errorf("TakeCleanShutdown = %v, %v, %v", clean, epoch, err)
	}
	if clean, _, err := TakeCleanShutdown(m.CrashClone(nil), "."); clean || err != nil {
		t.Errorf("second TakeCleanShutdown = %v, %v", clean, err)
	}
}

func TestMissingFiles(t *testing.T) {
	m := vfs.NewMem()
	offsets, err1 := ReadOffsets(m, "none")
	epochs, err2 := ReadEpochs(m, "none")
	_, ok3, err3 := ReadPartitionMetadata(m, "none")
	_, ok4, err4 := ReadMetaProperties(m, ".")
	if err := errors.Join(err1, err2, err3, err4); err != nil || len(offsets)+len(epochs) > 0 || ok3 || ok4 {
		t.Errorf("missing files: %v", err)
	}
}

func TestCleanShutdownEpoch(t *testing.T) {
	for text, want := range map[string]int64{
		string(AppendCleanShutdown(nil, 12)):               12,
		`{"version":0,"brokerEpoch":5,"something":"else"}`: 5,
		"": -1, "0\n": -1, "{}": -1,
	} {
		if got := ParseCleanShutdown([]byte(text)); got != want {
			t.Errorf("ParseCleanShutdown(%q) = %d, want %d", text, got, want)
		}
	}
}

func FuzzOffsets(f *testing.F) {
	f.Add([]byte(someOffsetsText))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOffsets(data)
		if err != nil {
			return
		}
		back, err := ParseOffsets(o.AppendTo(nil))
		if err != nil || !maps.Equal(back, o) {
			t.Errorf("%v comes back as %v, %v", o, back, err)
		}
	})
}

func FuzzEpochs(f *testing.F) {
	f.Add([]byte("0\n2\n0 0\n5 120\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseEpochs(data)
		if err != nil {
			return
		}
		if back, err := ParseEpochs(AppendEpochs(nil, entries)); err != nil || !slices.Equal(back, entries) {
			t.Errorf("%v comes back as %v, %v", entries, back, err)
		}
	})
}

func FuzzPartitionMetadata(f *testing.F) {
	f.Add([]byte("version: 0\ntopic_id: ASNFZ4mrze-BI0VniavN7w"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := ParsePartitionMetadata(data)
		if err != nil {
			return
		}
		if back, err := ParsePartitionMetadata(AppendPartitionMetadata(nil, id)); err != nil || back != id {
			t.Errorf("%v comes back as %v, %v", id, back, err)
		}
	})
}

func FuzzMetaProperties(f *testing.F) {
	f.Add([]byte("#\n#date\nbroker.id=7\nversion=0\ncluster.id=kXl2EVgbQP6d3wPRP7Zn0w\ndirectory.id=x\\u00e9 y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetaProperties(data)
		if err != nil {
			return
		}
		text := m.AppendTo(nil, time.Unix(0, 0))
		if back, err := ParseMetaProperties(text); err != nil || !equalMeta(back, m) && m.BrokerID >= -1 {
			t.Errorf("%+v comes back from %q as %+v, %v", m, text, back, err)
		}
	})
}

func FuzzCleanShutdown(f *testing.F) {
	f.Add([]byte(`{"version":0,"brokerEpoch":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) { ParseCleanShutdown(data) })
}
