package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// ErrMalformed reports a file that is none of Kafka's: another version, a wrong count, a line that
// cannot be read.
var ErrMalformed = errors.New("malformed checkpoint file")

const textVersion = 0

// appendHead appends the first two lines of a checkpoint.
func appendHead(dst []byte, entries int) []byte {
	dst = strconv.AppendInt(dst, textVersion, 10)
	dst = append(dst, '\n')
	dst = strconv.AppendInt(dst, int64(entries), 10)
	return append(dst, '\n')
}

// parseText calls entry with the fields of each entry's line. An empty file, which Kafka leaves when
// it creates one, has no entries; nor has one that ends after its version.
func parseText(data []byte, fields int, entry func(fields []string) error) error {
	lines := splitLines(string(data))
	if len(lines) == 0 {
		return nil
	}
	if version, err := parseInt32(lines[0]); err != nil || version != textVersion {
		return fmt.Errorf("%w: version %q, expected %d", ErrMalformed, lines[0], textVersion)
	}
	if len(lines) == 1 {
		return nil
	}
	count, err := parseInt32(lines[1])
	if err != nil {
		return fmt.Errorf("%w: number of entries %q", ErrMalformed, lines[1])
	}
	if got := len(lines) - 2; got != int(count) {
		return fmt.Errorf("%w: expected %d entries, but found %d", ErrMalformed, count, got)
	}
	for _, line := range lines[2:] {
		f := strings.Fields(line)
		if len(f) != fields {
			return fmt.Errorf("%w: line %q", ErrMalformed, line)
		}
		if err := entry(f); err != nil {
			return fmt.Errorf("%w: line %q: %w", ErrMalformed, line, err)
		}
	}
	return nil
}

// splitLines splits as Java's BufferedReader does: at \n, \r or \r\n, the last one needs none.
func splitLines(s string) []string {
	var lines []string
	for s != "" {
		i := strings.IndexAny(s, "\r\n")
		if i < 0 {
			return append(lines, s)
		}
		lines = append(lines, s[:i])
		if s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n' {
			i++
		}
		s = s[i+1:]
	}
	return lines
}

func parseInt32(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int32(n), err
}

// readOptional returns a file's content, nothing for a file that does not exist.
func readOptional(fsys vfs.FS, path string) (data []byte, exists bool, err error) {
	data, err = vfs.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}
