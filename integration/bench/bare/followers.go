package bare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// followers are connections to servers that keep copies of what one client sends, in its order.
//
// Kafka's followers ask for what their leader has appended, and ask once more to say that they have it: a
// record is acknowledged after two round trips. These are sent the records at once and answer with the
// acknowledgement that the client is to get, one round trip after which nothing is left to wait for. No
// protocol that keeps copies on other machines can do with less.
type followers []follower

type follower struct {
	file *os.File
	fd   int
}

// dialFollowers connects to each of the addresses.
func dialFollowers(addrs []string) (all followers, err error) {
	for _, addr := range addrs {
		file, err := dialBlocking(addr)
		if err != nil {
			all.close()
			return nil, fmt.Errorf("follower: %w", err)
		}
		all = append(all, follower{file, int(file.Fd())})
	}
	return all, nil
}

func dialBlocking(addr string) (*os.File, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close() // the socket stays
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(int(file.Fd()), false); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (f followers) close() {
	for _, one := range f {
		one.file.Close()
	}
}

// pass sends data to each.
func (f followers) pass(data []byte) error {
	for _, one := range f {
		if err := writeAll(one.fd, data); err != nil {
			return fmt.Errorf("follower: %w", err)
		}
	}
	return nil
}

// await waits until each has answered with the same acknowledgements.
func (f followers) await(acks []byte) error {
	if len(f) == 0 || len(acks) == 0 {
		return nil
	}
	got := make([]byte, len(acks))
	for _, one := range f {
		if err := readAll(one.fd, got); err != nil {
			return fmt.Errorf("follower: %w", err)
		}
		if !bytes.Equal(got, acks) {
			return errors.New("follower: it has acknowledged other requests")
		}
	}
	return nil
}

// writeAll writes to a blocking socket, whose writes a signal may cut short.
func writeAll(socket int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(socket, data)
		if err != nil && err != unix.EINTR {
			return err
		}
		data = data[max(n, 0):]
	}
	return nil
}

// readAll fills buf from a blocking socket.
func readAll(socket int, buf []byte) error {
	for len(buf) > 0 {
		n, err := unix.Read(socket, buf)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		buf = buf[max(n, 0):]
	}
	return nil
}
