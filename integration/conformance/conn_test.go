package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience bounds every wait for a broker that answers at once unless the machine is busy, or slow.
const patience = 2 * time.Minute

// conn is a connection that carries whatever a test wants to send.
type conn struct {
	net.Conn
	correlation int32
	heard       bool // an answer or an end, by isSilent
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := tryDial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tryDial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, c.SetDeadline(time.Now().Add(patience))
}

// frame puts the length in front of content.
func frame(content []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// header is a request header of version 1, which says what follows without having to mean it.
func header(key, version int16, correlation int32, client string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	return append(b, client...)
}

// clientID is what the tests call themselves.
const clientID = "conformance"

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))

// encode returns the frame of a request, with its length.
func encode(req kmsg.Request, correlation int32) []byte {
	if req.Key() == 7 && req.GetVersion() == 0 { // ControlledShutdown: a header without a client id
		return frame(req.AppendTo(header(7, 0, correlation, "")[:8]))
	}
	return formatter.AppendRequest(nil, req, correlation)
}

// send writes b as it is.
func (c *conn) send(b []byte) error {
	_, err := c.Write(b)
	return err
}

// sendRequest sends req and expects nothing.
func (c *conn) sendRequest(req kmsg.Request) error {
	c.correlation++
	return c.send(encode(req, c.correlation))
}

// maxAnswer bounds what a test reads into memory.
const maxAnswer = 64 << 20

// readFrame returns the content of the next frame.
func (c *conn) readFrame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > maxAnswer {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	content := make([]byte, n)
	_, err := io.ReadFull(c, content)
	return content, err
}

// decode reads the answer to req out of a frame's content. Nothing may be left over: encoding what
// was decoded has to give the same bytes.
func decode(req kmsg.Request, correlation int32, content []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	if got := int32(binary.BigEndian.Uint32(content)); got != correlation {
		return nil, fmt.Errorf("answer has correlation id %d, want %d", got, correlation)
	}
	body := content[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return nil, fmt.Errorf("header of the answer has no empty list of tags: %x", body[:min(len(body), 16)])
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%s answer v%d: %w: %x", kmsg.NameForKey(req.Key()), req.GetVersion(), err, body)
	}
	if again := resp.AppendTo(nil); string(again) != string(body) {
		return nil, fmt.Errorf("%s answer v%d is not what Kafka would write:\n%x\n%x", kmsg.NameForKey(req.Key()), req.GetVersion(), body, again)
	}
	return resp, nil
}

// ask sends req and returns the answer.
func (c *conn) ask(req kmsg.Request) (kmsg.Response, error) {
	if err := c.sendRequest(req); err != nil {
		return nil, err
	}
	content, err := c.readFrame()
	if err != nil {
		return nil, fmt.Errorf("%s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return decode(req, c.correlation, content)
}

// ask sends req on a connection of its own and fails t unless it is answered.
func ask[R kmsg.Response](t testing.TB, addr string, req kmsg.Request) R {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	resp, err := c.ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(R)
}

// pingID is the correlation id of ping.
const pingID = 0x50494e47

// ping asks for nothing but an answer, which must be the next one to come: it shows that the
// connection is open and that nothing else was answered.
func (c *conn) ping() error {
	if err := c.send(frame(header(18, 0, pingID, clientID))); err != nil {
		return err
	}
	content, err := c.readFrame()
	if err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(content); got != pingID {
		return fmt.Errorf("an answer that is not due came first: %x", content[:min(len(content), 64)])
	}
	return nil
}

// errOpen says that a connection that was to be closed is not.
var errOpen = errors.New("the connection is still open")

// awaitClose waits until the broker closes the connection, and returns an error if it sends something
// before, or does not close.
func (c *conn) awaitClose() error {
	var b [64]byte
	n, err := c.Read(b[:])
	switch {
	case n > 0:
		return fmt.Errorf("an answer came instead of the end of the connection: %x", b[:n])
	case errors.Is(err, io.EOF), isReset(err):
		return nil
	case err == nil:
		return errOpen
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errOpen
	}
	return err
}
