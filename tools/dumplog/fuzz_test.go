package dumplog_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/dumplog"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// FuzzDump: whatever is in a file, the tool prints it or says why it cannot.
func FuzzDump(f *testing.F) {
	marker := record.AppendMarker(nil, record.MarkerOptions{ProducerID: 7})
	for _, ext := range []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"} {
		f.Add(ext, marker, uint8(0))
		f.Add(ext, make([]byte, 46), uint8(3))
	}
	f.Fuzz(func(t *testing.T, ext string, data []byte, with uint8) {
		dir := t.TempDir()
		log := data
		if ext != ".log" {
			log = marker
		}
		if os.WriteFile(filepath.Join(dir, "0.log"), log, 0o600) != nil || os.WriteFile(filepath.Join(dir, "0.index"), data, 0o600) != nil {
			t.Fatal("cannot write to ", dir)
		}
		file := filepath.Join(dir, "0") + ext
		if os.WriteFile(file, data, 0o600) != nil {
			t.Skip("no name of a file")
		}
		args := []string{"--files", file}
		for i, option := range []string{"--print-data-log", "--deep-iteration", "--offsets-decoder", "--transaction-log-decoder", "--index-sanity-check",
			"--verify-index-only", "--skip-record-metadata"} {
			if with>>i&1 == 1 {
				args = append(args, option)
			}
		}
		env := &tool.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, Kafka: true}
		dumplog.Command().Main(t.Context(), env, args)
	})
}
