package record

import "encoding/binary"

// Varints are zig-zag numbers in groups of seven bits, lowest first. Like Kafka's ByteUtils, reading
// takes up to 5 bytes for an int and 10 for a long, drops bits that do not fit, and does not insist on
// the shortest form.
const (
	maxVarint  = 5
	maxVarlong = 10
)

// cursor reads a record's fields from data. After a read that data is too short for, or a number
// that does not end, bad is set and whatever is read means nothing.
type cursor struct {
	data []byte
	pos  int
	bad  bool
}

func (c *cursor) remaining() int { return len(c.data) - c.pos }

func (c *cursor) varint() int32 {
	// One byte in nearly all cases: deltas, headers, lengths below 64.
	if c.pos < len(c.data) {
		if b := c.data[c.pos]; b < 0x80 {
			c.pos++
			return int32(b>>1) ^ -int32(b&1)
		}
	}
	return c.longVarint()
}

func (c *cursor) longVarint() int32 {
	var u uint32
	for i := range maxVarint {
		if c.pos >= len(c.data) {
			break
		}
		b := c.data[c.pos]
		c.pos++
		u |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			return int32(u>>1) ^ -int32(u&1)
		}
	}
	c.bad = true
	return 0
}

func (c *cursor) varlong() int64 {
	if c.pos < len(c.data) {
		if b := c.data[c.pos]; b < 0x80 {
			c.pos++
			return int64(b>>1) ^ -int64(b&1)
		}
	}
	return c.longVarlong()
}

func (c *cursor) longVarlong() int64 {
	var u uint64
	for i := range maxVarlong {
		if c.pos >= len(c.data) {
			break
		}
		b := c.data[c.pos]
		c.pos++
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	c.bad = true
	return 0
}

// bytes reads a length and that many bytes; a negative length is null.
func (c *cursor) bytes() []byte {
	n := int(c.varint())
	if n < 0 || c.bad {
		return nil
	}
	if n > c.remaining() {
		c.bad = true
		return nil
	}
	b := c.data[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return b
}

func appendVarint(dst []byte, v int32) []byte {
	return binary.AppendUvarint(dst, uint64(uint32(v<<1)^uint32(v>>31)))
}

func appendVarlong(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

// appendBytes appends a length and b; nil has length -1.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return appendVarint(dst, -1)
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}
