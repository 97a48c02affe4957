package record

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// kafkaCodes are the error codes that the sentinels stand for.
var kafkaCodes = map[error]int{ErrCorrupt: 2, ErrMessageTooLarge: 10, ErrInvalidTimestamp: 32, ErrUnsupportedFormat: 43,
	ErrUnsupportedCompression: 76, ErrInvalidRecord: 87, ErrDecompress: -1}

// TestValidateLikeKafka compares with what Kafka itself answered.
func TestValidateLikeKafka(t *testing.T) {
	f, err := os.Open("testdata/kafka-3.9.2.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, "\t", 3)
		p := Policy{Partition: "t-0"}
		var compression, timestamps string
		var compacted, origin int
		if _, err := fmt.Sscan(fields[0], &compression, &timestamps, &p.BeforeMax, &p.AfterMax, &compacted, &p.MaxMessageBytes, &origin); err != nil {
			t.Fatal(n, err)
		}
		p.Compression, _ = ParseCompression(strings.Replace(compression, "none", "uncompressed", 1))
		p.TimestampType = map[string]TimestampType{"CreateTime": CreateTime, "LogAppendTime": LogAppendTime}[timestamps]
		p.Compacted = compacted == 1
		v, err := p.Validate(unhex(t, fields[1]), Origin(origin), testNow)
		if got, want := answer(t, v, err), fields[2]; got != want {
			t.Errorf("line %d: %s\n got %s\nwant %s", n, line, got, want)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// answer writes the outcome as the file does.
func answer(t *testing.T, v Validated, err error) string {
	if err != nil {
		e, _ := errors.AsType[*Error](err)
		var list strings.Builder
		for _, r := range e.Records {
			fmt.Fprintf(&list, "%d:%s|", r.Index, r.Message)
		}
		return fmt.Sprintf("error %d\t%s", kafkaCodes[e.Err], &list)
	}
	if v.Batches == 0 {
		return "empty"
	}
	v.Assign(1234, 5)
	b := Batch(v.Records)
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if !v.Rebuilt {
		return fmt.Sprintf("kept %d %d\t%s", v.Count, v.MaxTimestamp, hex.EncodeToString(b))
	}
	var list strings.Builder
	length := func(b []byte) int {
		if b == nil {
			return -1
		}
		return len(b)
	}
	for _, r := range mustCollect(t, b) {
		fmt.Fprintf(&list, "%d,%d,%d,%d,%d;", r.Offset, r.Timestamp, length(r.Key), length(r.Value), r.Headers.Len())
	}
	clear(b[posSize:posLeaderEpoch])
	clear(b[posCRC:posAttributes])
	return fmt.Sprintf("rebuilt %d %d\t%s %s", v.Count, v.MaxTimestamp, hex.EncodeToString(b[:HeaderSize]), &list)
}
