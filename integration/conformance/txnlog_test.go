package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// txn is one write of a znode, as ZooKeeper's transaction log has it.
type txn struct {
	session int64
	kind    string // create, create ephemeral, setData, delete
	path    string
	data    *string
	version int32 // after a setData
}

// Types of transactions (ZooDefs.OpCode).
const (
	opCreate  = 1
	opDelete  = 2
	opSetData = 5
	opMulti   = 14
	opCreate2 = 15
)

// readTransactions returns all that was written to a ZooKeeper, in order, without what failed.
func readTransactions(z *cluster.ZooKeeper) ([]txn, error) {
	names, err := z.TransactionLogs()
	if err != nil {
		return nil, err
	}
	var all []txn
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if all, err = appendTransactions(all, data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

// appendTransactions reads a file: a head of 16 bytes, then for each transaction its checksum, its length,
// itself and a B; zeroes stand behind the last one, which may be being written.
func appendTransactions(all []txn, file []byte) ([]txn, error) {
	const head, frame = 16, 8 + 4
	for at := head; at+frame <= len(file); {
		n := int(binary.BigEndian.Uint32(file[at+8:]))
		if n == 0 || at+frame+n+1 > len(file) || file[at+frame+n] != 'B' {
			return all, nil
		}
		r := &juteReader{b: file[at+frame : at+frame+n]}
		session := int64(r.long())
		r.int()  // cxid
		r.long() // zxid
		r.long() // time
		all = r.transaction(all, session, int32(r.int()))
		if r.short {
			return nil, errors.New("a transaction ends early")
		}
		at += frame + n + 1
	}
	return all, nil
}

// juteReader reads ZooKeeper's encoding.
type juteReader struct {
	b     []byte
	short bool
}

func (r *juteReader) next(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short, r.b = true, nil
		return make([]byte, max(n, 8))
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *juteReader) int() uint32  { return binary.BigEndian.Uint32(r.next(4)) }
func (r *juteReader) long() uint64 { return binary.BigEndian.Uint64(r.next(8)) }
func (r *juteReader) text() *string {
	n := int32(r.int())
	if n < 0 {
		return nil
	}
	s := string(r.next(int(n)))
	return &s
}

func (r *juteReader) path() string {
	if s := r.text(); s != nil {
		return *s
	}
	return ""
}

// transaction appends what one of the given type has written.
func (r *juteReader) transaction(all []txn, session int64, kind int32) []txn {
	t := txn{session: session}
	switch kind {
	case opCreate, opCreate2:
		t.kind, t.path, t.data = "create", r.path(), r.text()
		for range int32(r.int()) { // ACLs
			r.int()
			r.text()
			r.text()
		}
		if r.next(1)[0] != 0 {
			t.kind = "create ephemeral"
		}
	case opDelete:
		t.kind, t.path = "delete", r.path()
	case opSetData:
		t.kind, t.path, t.data = "setData", r.path(), r.text()
		t.version = int32(r.int())
	case opMulti:
		for range int32(r.int()) {
			kind := int32(r.int())
			part := &juteReader{b: r.next(int(r.int()))}
			all = part.transaction(all, session, kind)
			r.short = r.short || part.short
		}
		return all
	default: // sessions, checks and failures
		return all
	}
	return append(all, t)
}
