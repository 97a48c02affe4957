package network

import (
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/broker/request"
)

const (
	// sendfileMax bounds one system call: a thread copies at least this much in a tenth of a second.
	sendfileMax = 4 << 20
	// splicePages is how many pages of a file the kernel hands to the socket at a time. A packet has room
	// for these and for one piece before them, which is the head of a reply.
	splicePages = 16
)

// sendfileNow returns how many of n bytes at pos of a file the next system call is to send.
//
// Batches begin anywhere in a page, so that 64 KiB of them lie in 17 pages. Sent by one call, the first
// 16 fill a packet and the rest begins another, and at the end of the call both leave together. A congestion
// control that paces, as BBR does, then holds the second back for some microseconds, by a timer whose
// interrupt costs as much as the rest of the reply. Once a call ends where the 16th page does, the packet
// leaves by itself, and what follows begins with a page.
func sendfileNow(pos int64, n, pageSize int) int {
	if within := int(pos % int64(pageSize)); within > 0 {
		n = min(n, splicePages*pageSize-within)
	}
	return min(n, sendfileMax)
}

var pageSize = os.Getpagesize()

func (p *plain) sendfile(sec request.Section, pos int64, n int, wait bool) (int, error) {
	w := &p.writing
	w.src, w.pos, w.left, w.n, w.wait, w.err = sec, pos, n, 0, wait, nil
	err := p.raw.Write(w.send)
	w.src = nil
	if w.err != nil {
		err = w.err
	}
	return w.n, err
}

// trySendfile writes until all is written or the socket is full.
func (p *plain) trySendfile(fd uintptr) bool {
	w := &p.writing
	f, at, err := w.src.Open()
	if err != nil {
		w.err = err
		return true
	}
	defer w.src.Close()
	if f == nil {
		w.err = errNoSendfile
		return true
	}
	done := p.sendFrom(int(fd), int(f.Fd()), at)
	runtime.KeepAlive(f)
	return done
}

// sendFrom is trySendfile from a file in which the section begins at at.
func (p *plain) sendFrom(fd, file int, at int64) bool {
	w := &p.writing
	for w.left > 0 {
		pos := at + w.pos
		p.last.Store(time.Now().UnixNano())
		n, err := unix.Sendfile(fd, file, &pos, sendfileNow(pos, w.left, pageSize))
		switch {
		case n > 0:
			w.n, w.pos, w.left = w.n+n, w.pos+int64(n), w.left-n
			continue
		case err == nil:
			w.err = io.ErrUnexpectedEOF // the file ends before the section
			return true
		case w.n == 0 && (err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP):
			w.err = errNoSendfile
			return true
		}
		if again, done := p.writeFailed(uintptr(fd), "sendfile", err); !again {
			return done
		}
	}
	return true
}
