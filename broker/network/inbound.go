package network

import (
	"encoding/binary"
	"fmt"
)

// inbound cuts the bytes of one connection into frames. At rest it has no buffer.
//
// Invariant: buf is nil, or 0 <= r <= w <= len(buf.b) and buf.b[r:w] are the bytes read and not yet
// handed out.
type inbound struct {
	buf  *buffer
	r, w int
	// need is the number of bytes from r on that the next frame takes, with its length; 0 while
	// that is unknown.
	need int
	// large is about the size of the frames that are larger than the smallest buffer: the next one is
	// likely as large. It fades if none come.
	large int
	// last is what the last read brought: the next one is likely to bring as much.
	last int
	// lean says that little more is to be read than the frame that was begun, whose bytes are reserved: what comes
	// behind it waits in the socket until there is room for it as well.
	lean bool
}

// expectMax bounds the buffer that is taken for bytes before they are there.
const expectMax = 4 << 20

// expected is the size of a buffer for what is likely to be read next: twice of what came last, so that
// a read takes what has come meanwhile, be it several frames, and finds the end of the socket.
func (in *inbound) expected() int {
	return max(minBuffer, min(2*max(in.large, in.last), expectMax))
}

// room returns where to read to, at least one byte. It takes a buffer or enlarges the one there is:
// four times what has arrived at most, unless the frame before was large too.
func (in *inbound) room() []byte {
	switch {
	case in.buf == nil:
		size := in.expected()
		if in.lean {
			size = minBuffer
		}
		in.buf = getBuffer(size)
		in.r, in.w = 0, 0
	case in.r > 0 && in.r+in.need > len(in.buf.b) || in.w == len(in.buf.b):
		in.enlarge()
	}
	room := in.buf.b[in.w:]
	if in.lean {
		room = room[:min(len(room), max(0, in.need-(in.w-in.r))+minBuffer)]
	}
	return room
}

// compact moves frame, which next has just returned or nil, and what follows it into the smallest buffer that holds
// them, and returns frame there. It is for before a long wait.
func (in *inbound) compact(frame []byte) []byte {
	have := in.buf.b[in.r-len(frame) : in.w]
	if minBuffer<<(2*bufferClass(len(have))) >= len(in.buf.b) {
		return frame
	}
	smaller := getBuffer(len(have))
	copy(smaller.b, have)
	putBuffer(in.buf)
	in.buf, in.r, in.w = smaller, len(frame), len(have)
	return smaller.b[:len(frame):len(frame)]
}

// enlarge moves the unfinished frame to the start of a buffer with room for more of it.
func (in *inbound) enlarge() {
	have := in.buf.b[in.r:in.w]
	size := len(in.buf.b)
	if in.need > size {
		size = min(in.need, max(4*len(have), in.expected()))
	}
	if size <= len(in.buf.b) {
		copy(in.buf.b, have)
	} else {
		larger := getBuffer(size)
		copy(larger.b, have)
		putBuffer(in.buf)
		in.buf = larger
	}
	in.r, in.w = 0, len(have)
}

// filled takes note of n bytes read into what room returned.
func (in *inbound) filled(n int) {
	in.w += n
	in.last = n
}

// next returns the next whole frame, without its length; it is valid until the next call of room or
// rest. ok is false if no whole frame is there. An error is a length that is not allowed.
func (in *inbound) next(maxBytes int) (frame []byte, ok bool, err error) {
	if in.w-in.r < 4 {
		in.need = 0
		return nil, false, nil
	}
	size := int(int32(binary.BigEndian.Uint32(in.buf.b[in.r:])))
	if size < 0 || size > maxBytes {
		return nil, false, fmt.Errorf("invalid frame length %d, the largest is %d", size, maxBytes)
	}
	in.need = 4 + size
	if in.w-in.r < in.need {
		return nil, false, nil
	}
	if in.need > minBuffer {
		in.large = in.need
	} else {
		in.large -= in.large >> 3
	}
	frame = in.buf.b[in.r+4 : in.r+in.need : in.r+in.need]
	in.r += in.need
	in.need = 0
	return frame, true, nil
}

// rest gives the buffer back if it holds nothing.
func (in *inbound) rest() {
	if in.buf != nil && in.r == in.w {
		in.release()
	}
}

// release gives the buffer back with what it holds.
func (in *inbound) release() {
	if in.buf != nil {
		putBuffer(in.buf)
		in.buf, in.r, in.w, in.need = nil, 0, 0, 0
	}
}
