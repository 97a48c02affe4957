package groups

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/transactions"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
)

func txnCommitRequest(groupID string, offset int64) *kmsg.TxnOffsetCommitRequest {
	r := kmsg.NewPtrTxnOffsetCommitRequest()
	r.TransactionalID, r.Group, r.ProducerID, r.Generation = "tx", groupID, 7, -1
	metadata := "m"
	for i, name := range []string{"orders", "nope"} {
		t, p := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata, p.LeaderEpoch = int32(i), offset, &metadata, 3
		t.Topic, t.Partitions = name, append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
	}
	return r
}

func txnCodes(resp *kmsg.TxnOffsetCommitResponse) (codes []int16) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	return codes
}

// endTransaction writes a marker to __consumer_offsets, as a coordinator does.
func (w *world) endTransaction(commit bool) {
	w.t.Helper()
	h := &transactions.Markers{Replicas: w.broker.Replicas, Groups: w.Groups, Timeout: 1e9, Logger: w.broker.Logger}
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.Committed = 7, commit
	m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic.ConsumerOffsets, Partitions: []int32{0}}}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, m)
	resp := do[*kmsg.WriteTxnMarkersResponse](w, h.WriteTxnMarkers, req, 1)
	if code := resp.Markers[0].Topics[0].Partitions[0].ErrorCode; code != 0 {
		w.t.Fatalf("marker: error %d", code)
	}
}

// TestTxnOffsetCommit commits in a transaction in every version.
func TestTxnOffsetCommit(t *testing.T) {
	w := newWorld(t, true)
	for version := range int16(5) {
		resp := do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("g", 40+int64(version)), version)
		if got := txnCodes(resp); !slices.Equal(got, []int16{0, 3}) {
			t.Fatalf("v%d: errors %v, want 0 and 3", version, got)
		}
		fetch := fetchRequest("g")
		fetch.RequireStable = true
		if _, list := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, fetch, 7+version%3)); list[0] != `orders-0=-1 "" 88` {
			t.Errorf("v%d, pending: %q, want error 88", version, list)
		}
		w.endTransaction(true)
		_, list := offsets(do[*kmsg.OffsetFetchResponse](w, w.OffsetFetch, fetch, 7+version%3))
		if want := `orders-0=4` + string(rune('0'+version)) + ` "m" 0`; list[0] != want {
			t.Errorf("v%d, committed: %q, want %q", version, list, want)
		}
	}
	empty := txnCommitRequest("g", 1)
	empty.Topics = nil
	if resp := do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, empty, 4); len(resp.Topics) != 0 {
		t.Errorf("no offsets: %+v", resp.Topics)
	}
}

// TestTxnOffsetCommitIsVerified with the coordinator of the transaction, once (KIP-890).
func TestTxnOffsetCommitIsVerified(t *testing.T) {
	w := newWorld(t, true)
	w.Verifying = func() bool { return true }
	var asked []verifier.Question
	var code int16
	w.Verify = func(q verifier.Question) []int16 {
		asked = append(asked, q)
		return []int16{code}
	}
	for _, tt := range []struct{ code, version, want int16 }{
		{48, 4, 48}, {120, 4, 120}, {120, 3, 48}, {47, 4, 47}, {13, 4, 14}, {13, 1, 15}, {15, 4, 15}, {16, 4, 16}, {51, 4, 51},
	} {
		code = tt.code
		resp := do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("g", 1), tt.version)
		if got := txnCodes(resp); !slices.Equal(got, []int16{tt.want, 3}) {
			t.Errorf("verification fails with %d: v%d is told %v, want %d", tt.code, tt.version, got, tt.want)
		}
	}
	asked, code = nil, 0
	for range 2 {
		resp := do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("g", 1), 4)
		if got := txnCodes(resp); got[0] != 0 {
			t.Errorf("errors %v", got)
		}
	}
	if len(asked) != 1 || asked[0].TransactionalID != "tx" || asked[0].ProducerID != 7 ||
		!slices.Equal(asked[0].Partitions, []topic.Partition{{Topic: topic.ConsumerOffsets}}) {
		t.Errorf("asked %+v, want once about __consumer_offsets-0", asked)
	}
	w.endTransaction(false)
	if resp := do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("g", 1), 4); txnCodes(resp)[0] != 0 || len(asked) != 2 {
		t.Errorf("the next transaction: errors %v, asked %d times in all, want 2", txnCodes(resp), len(asked))
	}
}

// TestTxnOffsetCommitElsewhere: not here, and old clients are not told of loading.
func TestTxnOffsetCommitElsewhere(t *testing.T) {
	w := newWorld(t, false)
	if got := txnCodes(do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("g", 1), 4)); !slices.Equal(got, []int16{16, 3}) {
		t.Errorf("errors %v, want NOT_COORDINATOR", got)
	}
	if got := txnCodes(do[*kmsg.TxnOffsetCommitResponse](w, w.TxnOffsetCommit, txnCommitRequest("", 1), 4)); !slices.Equal(got, []int16{24, 3}) {
		t.Errorf("without a group: errors %v, want INVALID_GROUP_ID", got)
	}
}
