package dumplog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// file is the path of a file as a java.io.File keeps it.
type file string

// newFile returns the file at path.
func newFile(path string) file {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return file(path)
}

func (f file) String() string { return string(f) }

// name returns what follows the last slash.
func (f file) name() string { return string(f[strings.LastIndexByte(string(f), '/')+1:]) }

// absolute returns the path from the root on; what is relative in it stays.
func (f file) absolute() string {
	if strings.HasPrefix(string(f), "/") {
		return string(f)
	}
	wd, err := os.Getwd()
	if err != nil {
		return string(f)
	}
	return wd + "/" + string(f)
}

// offset returns the number that the name begins with.
func (f file) offset() (int64, error) {
	digits, _, _ := strings.Cut(f.name(), ".")
	offset, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, throwable.Newf(throwable.NumberFormat, "For input string: %q", digits)
	}
	return offset, nil
}

// beside returns the file of the same segment with another extension.
func (f file) beside(ext string) file {
	digits, _, _ := strings.Cut(f.name(), ".")
	return file(filepath.Dir(f.absolute()) + "/" + digits + ext)
}

func (f file) readAll() ([]byte, error) { return os.ReadFile(string(f)) }

// section is a part of a log file, or all of it (Kafka's FileRecords).
type section struct {
	file       file
	opened     *os.File
	start, end int64
	size       int64
}

// openLog opens a log file.
func openLog(f file) (*section, error) {
	opened, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil && info.Size() > math.MaxInt32 {
		err = throwable.Newf(throwable.Kafka, "The size of segment %s (%d) is larger than the maximum allowed segment size of %d",
			f, info.Size(), math.MaxInt32)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &section{file: f, opened: opened, end: math.MaxInt32, size: info.Size()}, nil
}

func (s *section) String() string {
	return fmt.Sprintf("FileRecords(size=%d, file=%s, start=%d, end=%d)", s.size, s.file, s.start, s.end)
}

func (s *section) close() { s.opened.Close() } // nothing was written

// slice returns at most size bytes from position on.
func (s *section) slice(position, size int64) (*section, error) {
	switch {
	case position < 0:
		return nil, throwable.Newf(throwable.IllegalArgument, "Invalid position: %d in read from %s", position, s)
	case position > s.size:
		return nil, throwable.Newf(throwable.IllegalArgument, "Slice from position %d exceeds end position of %s", position, s)
	case size < 0:
		return nil, throwable.Newf(throwable.IllegalArgument, "Invalid size: %d in read from %s", size, s)
	}
	size = min(size, s.size-position)
	return &section{file: s.file, opened: s.opened, start: position, end: position + size, size: size}, nil
}

// read fills b from position on; what names b in the error of a file that ends before.
func (s *section) read(b []byte, position int64, what string) error {
	n, err := s.opened.ReadAt(b, position)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return throwable.Newf("java.io.EOFException", "Failed to read `%s` from file channel `%s`. Expected to read %d bytes, "+
			"but reached end of file after reading %d bytes. Started read from position %d.", what, s.file, len(b), n, position)
	}
	return err
}
