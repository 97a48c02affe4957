package segment

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func TestTruncateAtEveryOffset(t *testing.T) {
	for flush := range 2 { // entries in memory, entries on disk
		for offset := int64(100); offset < 160; offset++ {
			e := newEnv(t, vfs.NewMem(), "d")
			m := &model{base: 100}
			s := e.create(100)
			fill(t, s, m, 25)
			if offset > m.next() {
				break
			}
			if flush == 1 {
				must(t, s.Flush())
			}
			before := s.Size()
			m.truncate(offset)
			removed, err := s.Truncate(offset, 5000)
			must(t, err)
			if removed != before-int64(len(m.bytes())) {
				t.Fatalf("Truncate(%d) removes %d bytes of %d, want %d left", offset, removed, before, len(m.bytes()))
			}
			if next, err := s.NextOffset(); err != nil || next != offset {
				t.Fatalf("NextOffset after Truncate(%d) = %d, %v", offset, next, err)
			}
			for i := range int64(8) {
				b := batch(t, offset+i, 80, 20_000+i)
				must(t, s.Append(b))
				m.add(b)
			}
			check(t, s, m)
			must(t, s.Close())
			s = e.open(100)
			must(t, s.Damage())
			check(t, s, m)
		}
	}
}

func TestTruncateToNothingStartsTheAgeAnew(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(5)
	must(t, s.Append(batch(t, 5, 10, 1234)))
	if st, err := s.RollState(); err != nil || st.FirstTimestamp != 1234 || st.CreatedMs != 1000 {
		t.Errorf("RollState = %+v, %v", st, err)
	}
	if _, err := s.Truncate(5, 5000); err != nil {
		t.Fatal(err)
	}
	if st, err := s.RollState(); err != nil || st.FirstTimestamp != -1 || st.CreatedMs != 5000 || st.Size != 0 {
		t.Errorf("RollState = %+v, %v", st, err)
	}
	if n, err := s.Truncate(9, 6000); err != nil || n != 0 {
		t.Errorf("Truncate behind the end = %d, %v", n, err)
	}
	check(t, s, &model{base: 5})
}

func TestTruncateCutsAbortedTxns(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	m := &model{}
	s := e.create(0)
	fill(t, s, m, 20)
	for i := range int64(3) {
		must(t, s.AppendAborted(AbortedTxn{ProducerID: i, FirstOffset: 10 * i, LastOffset: 10*i + 5, LastStableOffset: 10 * i}))
	}
	must(t, s.Close())
	s = e.open(0)
	if _, err := s.Truncate(15, 0); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Aborted(nil, 0, 1000)
	if err != nil || len(got) != 1 || got[0].ProducerID != 0 {
		t.Errorf("Aborted = %v, %v", got, err)
	}
	if n := len(e.file(0, TxnExt)); n != txnWidth {
		t.Errorf("transaction index has %d bytes", n)
	}
}
