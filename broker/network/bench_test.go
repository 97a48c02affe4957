package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// cpu returns the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports the processor time per operation, of the client and the server together.
func reportCPU(b *testing.B, perOp int) func() {
	begin := cpu(b)
	return func() {
		b.ReportMetric(float64((cpu(b)-begin).Microseconds())/float64(b.N*perOp), "cpu-µs/req")
	}
}

// produce answers a Produce as api/produce does, without appending anything.
func produce(r *request.Request) {
	req := wire.AcquireProduceRequest()
	if err := req.Parse(r.Version, r.Body); err != nil {
		r.Drop(err)
		return
	}
	resp := wire.NewProduceResponse(r.Version)
	for _, t := range req.Topics {
		resp.Topic(t.Name)
		for _, p := range t.Partitions {
			resp.Partition(p.Index).BaseOffset = 1
		}
	}
	req.Release()
	r.Reply(resp)
}

// produceFrame is a Produce v9 with one batch of so many bytes.
func produceFrame(size int) []byte {
	k := kmsg.NewPtrProduceRequest()
	k.Version, k.Acks = 9, 1
	kt := kmsg.NewProduceRequestTopic()
	kt.Topic = "orders"
	kt.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, size)}}
	k.Topics = append(k.Topics, kt)
	return frame(0, 9, 1, append([]byte{0}, k.AppendTo(nil)...))
}

// BenchmarkProduce sends requests of 1 KiB in groups and waits for the answers of each group. The case
// "bare" is the same exchange with a server that only reads and writes.
func BenchmarkProduce(b *testing.B) {
	one := produceFrame(1024)
	s := start(b, routes{}.handle(0, false, produce), nil)
	probe := s.dial()
	probe.send(one)
	_, body := probe.receive()
	reply := 8 + len(body)
	for _, depth := range []int{1, 5, 50} {
		var group []byte
		for range depth {
			group = append(group, one...)
		}
		exchange := func(b *testing.B, addr string) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			buf := make([]byte, reply*depth)
			b.ReportAllocs()
			done := reportCPU(b, depth)
			for b.Loop() {
				if _, err := conn.Write(group); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					b.Fatal(err)
				}
			}
			done()
		}
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) { exchange(b, s.addr) })
		b.Run(fmt.Sprintf("depth=%d/bare", depth), func(b *testing.B) {
			exchange(b, bare(b, func(conn net.Conn) error {
				buf := make([]byte, len(group))
				if _, err := io.ReadFull(conn, buf); err != nil {
					return err
				}
				for {
					if _, err := conn.Write(buf[:reply*depth]); err != nil {
						return err
					}
					if _, err := io.ReadFull(conn, buf); err != nil {
						return err
					}
				}
			}))
		})
	}
}

// bare runs serve on each connection to the address that it returns.
func bare(b *testing.B, serve func(net.Conn) error) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn); conn.Close() })
		}
	})
	b.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// BenchmarkFetch reads replies with a section of 1 MiB. "bare" is a loop around sendfile alone.
func BenchmarkFetch(b *testing.B) {
	const size = 1 << 20
	f := newLogFile(b, 2*size)
	s := start(b, routes{}.handle(1, false, fetchRoute(17, func(int32) []request.Section {
		return []request.Section{f.section(100, size)}
	})), nil)
	req := fetchFrame(17, 1)
	read := func(b *testing.B, addr string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		buf := make([]byte, 256<<10)
		b.SetBytes(size)
		b.ReportAllocs()
		done := reportCPU(b, 1)
		for b.Loop() {
			if _, err := conn.Write(req); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(conn, buf[:4]); err != nil {
				b.Fatal(err)
			}
			for left := int(binary.BigEndian.Uint32(buf)); left > 0; {
				n, err := conn.Read(buf[:min(left, len(buf))])
				if err != nil {
					b.Fatal(err)
				}
				left -= n
			}
		}
		done()
	}
	b.Run("server", func(b *testing.B) { read(b, s.addr) })
	b.Run("bare", func(b *testing.B) {
		read(b, bare(b, func(conn net.Conn) error {
			conn.(*net.TCPConn).SetWriteBuffer(100 << 10)
			buf, head := make([]byte, len(req)), binary.BigEndian.AppendUint32(nil, size)
			raw, _ := conn.(*net.TCPConn).SyscallConn()
			for {
				if _, err := io.ReadFull(conn, buf); err != nil {
					return err
				}
				conn.Write(head)
				pos := int64(100)
				err := raw.Write(func(fd uintptr) bool {
					for pos < 100+size {
						if _, err := unix.Sendfile(int(fd), int(f.Fd()), &pos, 100+size-int(pos)); err != nil {
							return err != unix.EAGAIN
						}
					}
					return true
				})
				if err != nil {
					return err
				}
			}
		}))
	})
	f.allReleased(b)
}

// BenchmarkLongPoll answers requests from another goroutine, as the purgatory does.
func BenchmarkLongPoll(b *testing.B) {
	parked := make(chan *request.Request, 1)
	s := start(b, routes{}.handle(keyLater, false, func(r *request.Request) { parked <- r }), nil)
	c := s.dial()
	c.SetDeadline(time.Time{})
	req, body := frame(keyLater, 0, 1, nil), raw("answer")
	b.ReportAllocs()
	done := reportCPU(b, 1)
	for b.Loop() {
		c.send(req)
		(<-parked).Reply(body)
		c.receive()
	}
	done()
}
