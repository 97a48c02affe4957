package network

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// section is a run of bytes of a file, or of memory if file is nil.
type section struct {
	io.ReaderAt
	file   *os.File
	pos, n int64
	of     *logFile
}

func (s *section) Size() int64 { return s.n }
func (s *section) Open() (*os.File, int64, error) {
	if s.of.gone.Load() {
		return nil, 0, errGone
	}
	s.of.opened.Add(1)
	s.of.most.Store(max(s.of.most.Load(), s.of.open.Add(1)))
	return s.file, s.pos, nil
}
func (s *section) Close()   { s.of.open.Add(-1) }
func (s *section) Release() { s.of.released.Add(1) }
func (s *section) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.ReaderAt, s.pos, s.n).ReadAt(p, off)
}

// logFile is a file with random content.
type logFile struct {
	*os.File
	data     []byte
	released atomic.Int64
	made     atomic.Int64
	open     atomic.Int64 // sections between Open and Close
	most     atomic.Int64 // that were at the same time
	opened   atomic.Int64 // in all
	gone     atomic.Bool  // it cannot be opened any more
}

var errGone = errors.New("the file is gone")

func newLogFile(t testing.TB, size int) *logFile {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{1})
	data := make([]byte, size)
	rng.Read(data)
	path := filepath.Join(t.TempDir(), "00000000000000000000.log")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &logFile{File: f, data: data}
}

func (f *logFile) section(pos, n int64) *section {
	f.made.Add(1)
	return &section{f.File, f.File, pos, n, f}
}

// inMemory is the same section without a file.
func (f *logFile) inMemory(pos, n int64) *section {
	f.made.Add(1)
	return &section{bytes.NewReader(f.data), nil, pos, n, f}
}

func (f *logFile) allReleased(t testing.TB) {
	t.Helper()
	eventually(t, "all sections are released", func() bool { return f.released.Load() == f.made.Load() })
}

// fetchRoute answers every Fetch with the sections that a function gives for the correlation id.
func fetchRoute(version int16, sections func(id int32) []request.Section) request.HandlerFunc {
	return func(r *request.Request) {
		resp := wire.NewFetchResponse(version)
		resp.Topic("topic", topic.ID{1})
		for i, s := range sections(r.CorrelationID) {
			resp.Partition(int32(i)).Section = s
		}
		r.Reply(resp)
	}
}

// records decodes a Fetch response and returns each partition's records.
func records(t testing.TB, version int16, body []byte) (all [][]byte) {
	t.Helper()
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = version
	if version >= 12 {
		body = body[1:] // header tags
	}
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	for _, kt := range resp.Topics {
		for _, p := range kt.Partitions {
			all = append(all, p.RecordBatches)
		}
	}
	return all
}

// fetchFrame is a Fetch request with an empty body: the tests' handlers do not parse it.
func fetchFrame(version int16, id int32) []byte {
	if version >= 12 {
		return frame(1, version, id, []byte{0})
	}
	return frame(1, version, id, nil)
}

func TestSectionsOfAllSizesArrive(t *testing.T) {
	f := newLogFile(t, 4<<20)
	for _, version := range []int16{4, 11, 12, 17} {
		for _, memory := range []bool{false, true} {
			t.Run(fmt.Sprintf("v%d, in memory %v", version, memory), func(t *testing.T) {
				sizes := []int64{0, 1, 100, inlineSection, inlineSection + 1, 100_000, 3, 2 << 20, 0, 1}
				s := start(t, routes{}.handle(1, false, fetchRoute(version, func(id int32) (all []request.Section) {
					for i, n := range sizes {
						if pos := int64(id)*10 + int64(i); memory {
							all = append(all, f.inMemory(pos, n))
						} else {
							all = append(all, f.section(pos, n))
						}
					}
					return all
				})), nil)
				c := s.dial()
				for id := range int32(5) {
					c.send(fetchFrame(version, id))
				}
				for id := range int32(5) {
					got, body := c.receive()
					if got != id {
						t.Fatalf("response %d, want %d", got, id)
					}
					for i, r := range records(t, version, body) {
						pos := int(id)*10 + i
						if !bytes.Equal(r, f.data[pos:pos+int(sizes[i])]) {
							t.Fatalf("response %d, partition %d: other bytes", id, i)
						}
					}
				}
				f.allReleased(t)
			})
		}
	}
}

// Replies that gather behind a slow one are encoded piece by piece.
func TestManyLargeRepliesAreEncodedPieceByPiece(t *testing.T) {
	o, tr := new(outbound), &noSendfile{limit: 1 << 30}
	for i := range 30 {
		s := newSlot(nil)
		s.state, s.body = answered, raw(bytes.Repeat([]byte{byte(i)}, 100_000))
		o.slots = append(o.slots, s)
	}
	o.encode()
	if n := len(o.buf); n > outboundBytes+100_010 {
		t.Errorf("%d bytes are encoded at once", n)
	}
	if err := o.write(tr, true); err != nil || tr.Len() != 30*100_008 || cap(o.buf) > 300_000 {
		t.Errorf("wrote %d bytes from a buffer of %d, %v", tr.Len(), cap(o.buf), err)
	}
	o.finish("", nil, time.Time{})
}

func TestManySmallSectionsAreBoundedInMemory(t *testing.T) {
	f := newLogFile(t, 1<<20)
	const n = 2000
	s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) (all []request.Section) {
		for i := range int64(n) {
			all = append(all, f.section(i, inlineSection))
		}
		return all
	})), nil)
	c := s.dial()
	c.send(fetchFrame(4, 1))
	_, body := c.receive()
	for i, r := range records(t, 4, body) {
		if !bytes.Equal(r, f.data[i:i+inlineSection]) {
			t.Fatalf("partition %d: other bytes", i)
		}
	}
	f.allReleased(t)
}

// With small socket buffers and a client that reads little by little, sendfile meets EAGAIN again and
// again, on the connection's goroutine and on that of a reply that comes later.
func TestLargeSectionsSurviveSlowReaders(t *testing.T) {
	f := newLogFile(t, 8<<20)
	for _, memory := range []bool{false, true} {
		var box inbox
		reply := fetchRoute(4, func(int32) []request.Section {
			if memory {
				return []request.Section{f.inMemory(1, 3<<20), f.inMemory(2, 3<<20)}
			}
			return []request.Section{f.section(1, 3<<20), f.section(2, 3<<20)}
		})
		s := start(t, routes{}.handle(1, false, reply).handle(keyLater, false, box.handle), func(o *Options) { o.SendBuffer = 64 << 10 })
		c := s.dial()
		c.in.Reset(slowly{c.Conn})
		c.send(fetchFrame(4, 1))
		c.send(frame(keyLater, 0, 2, nil))
		c.send(fetchFrame(4, 3))
		check := func(id int32) {
			got, body := c.receive()
			if got != id {
				t.Fatalf("response %d, want %d", got, id)
			}
			r := records(t, 4, body)
			if !bytes.Equal(r[0], f.data[1:1+3<<20]) || !bytes.Equal(r[1], f.data[2:2+3<<20]) {
				t.Fatalf("response %d: other bytes", id)
			}
		}
		check(1)
		reply(box.take(t, 1)[0]) // from another goroutine, which must not wait
		check(2)
		check(3)
		f.allReleased(t)
	}
}

// slowly reads in pieces, so that the socket is full most of the time.
type slowly struct{ io.Reader }

func (r slowly) Read(p []byte) (int, error) {
	runtime.Gosched()
	return r.Reader.Read(p[:min(len(p), 50_000)])
}

// Whoever completes a request must not be held up by the client of that request.
func TestReplyDoesNotWaitForASlowClient(t *testing.T) {
	f := newLogFile(t, 8<<20)
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle), func(o *Options) { o.SendBuffer = 64 << 10 })
	for _, large := range []bool{false, true} {
		c := s.dial()
		for i := range int32(8) {
			c.send(frame(keyLater, 0, i, nil))
		}
		for _, r := range box.take(t, 8) { // the client reads nothing, and this returns
			if large {
				resp := wire.NewFetchResponse(4)
				resp.Topic("topic", topic.ID{})
				resp.Partition(0).Section = f.section(0, 8<<20)
				r.Reply(resp)
			} else {
				r.Reply(raw(make([]byte, 200_000)))
			}
		}
		for i := range int32(8) {
			if id, body := c.receive(); id != i || len(body) < 200_000 {
				t.Fatalf("response %d of %d bytes, want %d", id, len(body), i)
			}
		}
	}
	f.allReleased(t)
}

func TestSlowReaderIsClosedAsIdle(t *testing.T) {
	f := newLogFile(t, 32<<20)
	s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) []request.Section {
		return []request.Section{f.section(0, 32<<20)}
	})), func(o *Options) { o.MaxIdle = time.Hour })
	c := s.dial()
	c.send(append(fetchFrame(4, 1), fetchFrame(4, 2)...))
	if _, err := c.in.Peek(1); err != nil { // nothing more is read
		t.Fatal(err)
	}
	s.closeIdle(time.Now().Add(2 * time.Hour))
	f.allReleased(t)
	eventually(t, "the connection is forgotten", func() bool { return s.Connections()["PLAINTEXT"] == 0 })
}

// A section may be longer than its file if that was truncated meanwhile. The length is already
// promised, so that only closing the connection is left.
func TestSectionsThatEndEarlyCloseTheConnection(t *testing.T) {
	f := newLogFile(t, 50_000)
	for _, n := range []int64{100, 40_000} {
		for _, memory := range []bool{false, true} {
			s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) []request.Section {
				if memory {
					return []request.Section{f.inMemory(50_000-n+1, n), f.section(0, 10)}
				}
				return []request.Section{f.section(50_000-n+1, n), f.section(0, 10)}
			})), nil)
			c := s.dial()
			c.send(fetchFrame(4, 1))
			if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
				t.Fatal("the connection stays open")
			}
			f.allReleased(t)
		}
	}
}

func TestSectionsAreReleasedIfTheClientGoes(t *testing.T) {
	f := newLogFile(t, 8<<20)
	var box inbox
	s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) []request.Section {
		return []request.Section{f.section(0, 8<<20), f.section(0, 10)}
	})).handle(keyLater, false, box.handle), nil)
	for range 20 {
		c := s.dial()
		c.send(frame(keyLater, 0, 1, nil))
		c.send(fetchFrame(4, 1))
		c.send(fetchFrame(4, 2))
		r := box.take(t, 1)[0]
		c.Conn.(*net.TCPConn).SetLinger(0)
		go c.Close()
		r.Reply(raw("first"))
	}
	f.allReleased(t)
}

// However many files an answer comes from, and however slow its client is, none is held open that is not just being read.
func TestFilesAreOpenOnlyWhileTheyAreSent(t *testing.T) {
	const sections, clients, size = 50, 5, 200_000
	f := newLogFile(t, 1<<20)
	s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) (all []request.Section) {
		for i := range int64(sections) {
			all = append(all, f.section(i, size))
		}
		return all
	})), nil)
	var waiting []*client
	for range clients {
		c := s.dial()
		c.send(fetchFrame(4, 1))
		waiting = append(waiting, c)
	}
	sockets := int64(-1)
	eventually(t, "all sockets are full, and no file is open", func() bool {
		before := sockets
		sockets = f.opened.Load()
		return before == sockets && sockets >= clients && f.open.Load() == 0
	})
	if f.released.Load() == f.made.Load() {
		t.Fatal("everything is sent: no client was slow")
	}
	for _, c := range waiting {
		_, body := c.receive()
		for i, r := range records(t, 4, body) {
			if !bytes.Equal(r, f.data[i:i+size]) {
				t.Fatalf("section %d differs", i)
			}
		}
	}
	f.allReleased(t)
	if most := f.most.Load(); most > clients {
		t.Errorf("%d sections were open at a time", most)
	}
}

// A file that was deleted since its section was promised ends the connection, as there is nothing else to be sent.
func TestSectionOfAFileThatIsGoneEndsTheConnection(t *testing.T) {
	for _, size := range []int64{inlineSection, inlineSection + 1} {
		f := newLogFile(t, 1<<20)
		s := start(t, routes{}.handle(1, false, fetchRoute(4, func(int32) []request.Section {
			return []request.Section{f.section(0, size)}
		})), nil)
		f.gone.Store(true)
		f.File.Close()
		c := s.dial()
		c.send(fetchFrame(4, 1))
		if _, err := io.ReadAll(c.in); err != nil && isTimeout(err) {
			t.Errorf("the connection did not end: %v", err)
		}
		f.allReleased(t)
	}
}

// noSendfile is a transport whose sendfile is not possible.
type noSendfile struct {
	bytes.Buffer
	limit int // bytes that write takes at once; then it would block
}

func (t *noSendfile) read(*inbound) (int, error) { return 0, io.EOF }
func (t *noSendfile) poll(*inbound) (int, error) { return 0, nil }
func (t *noSendfile) interrupt()                 {}
func (t *noSendfile) close()                     {}
func (t *noSendfile) sendfile(request.Section, int64, int, bool) (int, error) {
	return 0, errNoSendfile
}
func (t *noSendfile) write(p []byte, _, _ bool) (int, error) {
	n, err := min(len(p), t.limit), error(nil)
	if n < len(p) {
		err = errWouldBlock
	}
	t.Write(p[:n])
	return n, err
}

func TestSectionsAreCopiedWithoutSendfile(t *testing.T) {
	f := newLogFile(t, 1<<20)
	o, tr := new(outbound), &noSendfile{limit: 999}
	resp := wire.NewFetchResponse(4)
	resp.Topic("topic", topic.ID{})
	resp.Partition(0).Section = f.section(5, 300_000)
	s := newSlot(nil)
	s.Key, s.Version, s.state, s.body = 1, 4, answered, resp
	o.slots = append(o.slots, s)
	o.encode()
	for {
		err := o.write(tr, false)
		if err == nil {
			break
		}
		if !errors.Is(err, errWouldBlock) {
			t.Fatal(err)
		}
	}
	if r := records(t, 4, tr.Bytes()[8:]); !bytes.Equal(r[0], f.data[5:300_005]) || o.pending() != 0 {
		t.Errorf("other bytes, %d left", o.pending())
	}
	o.finish("", nil, time.Time{})
	f.allReleased(t)
}
