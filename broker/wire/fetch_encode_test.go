package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func followerFetch(version int16) *FetchRequest {
	return &FetchRequest{
		Version: version, ReplicaID: 3, ReplicaEpoch: 1 << 40, MaxWait: 500, MinBytes: 1, MaxBytes: 10 << 20,
		SessionID: 77, SessionEpoch: 5, Rack: "rack-a",
		Topics: []FetchTopic{
			{Name: "orders", ID: topic.ID{1}, Partitions: []FetchPartition{
				{Index: 0, LeaderEpoch: 4, FetchOffset: 1 << 33, LastFetchedEpoch: 3, LogStartOffset: 10, MaxBytes: 1 << 20},
				{Index: 7, LeaderEpoch: 5, FetchOffset: 0, LastFetchedEpoch: -1, LogStartOffset: 0, MaxBytes: 1 << 20},
			}},
			{Name: "payments", ID: topic.ID{2}, Partitions: []FetchPartition{{Index: 1, LeaderEpoch: 0, LastFetchedEpoch: -1, MaxBytes: 5}}},
		},
		Forgotten: []ForgottenTopic{{Name: "gone", ID: topic.ID{9}, Partitions: []int32{2, 3}}},
	}
}

// TestFetchRequestRoundTrip: what a follower appends, a leader parses, and kmsg as well.
func TestFetchRequestRoundTrip(t *testing.T) {
	for version := int16(0); version <= 17; version++ {
		body := followerFetch(version).AppendTo(nil)
		var got FetchRequest
		if err := got.Parse(version, body); err != nil {
			t.Fatalf("v%d: %v", version, err)
		}
		if again := got.AppendTo(nil); !bytes.Equal(again, body) {
			t.Errorf("v%d: %x was parsed to %x", version, body, again)
		}
		k := kmsg.NewPtrFetchRequest()
		k.Version = version
		if err := k.ReadFrom(body); err != nil {
			t.Fatalf("v%d: kmsg: %v", version, err)
		}
		if version >= 12 && !bytes.Equal(k.AppendTo(nil), body) {
			t.Errorf("v%d: kmsg writes %x, we %x", version, k.AppendTo(nil), body)
		}
	}
	want := followerFetch(17)
	var got FetchRequest
	if err := got.Parse(17, want.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	for i := range want.Topics {
		want.Topics[i].Name = ""
	}
	want.Forgotten[0].Name = ""
	if diff := cmp.Diff(want, &got, cmpopts.IgnoreUnexported(FetchRequest{})); diff != "" {
		t.Error(diff)
	}
	want.ClusterID = "cFu1l7gJRt2h3Yc0n8ZsKw"
	if err := got.Parse(17, want.AppendTo(nil)); err != nil || got.ClusterID != want.ClusterID || got.ReplicaID != 3 {
		t.Errorf("cluster id %q of replica %d, %v", got.ClusterID, got.ReplicaID, err)
	}
}

func leaderAnswer(version int16) []byte {
	resp := NewFetchResponse(version)
	defer resp.Discard()
	resp.SessionID, resp.Throttle = 77, 3
	resp.Topic("orders", topic.ID{1})
	p := resp.Partition(0)
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset, p.Records = 100, 99, 5, []byte("records")
	p.Aborted = []AbortedTransaction{{1, 2}, {3, 4}}
	p = resp.Partition(4)
	p.ErrorCode, p.Leader = 6, LeaderEpoch{2, 8}
	resp.Topic("payments", topic.ID{2})
	resp.Partition(1).Diverging = EpochEnd{3, 50}
	resp.Endpoints = []NodeEndpoint{{ID: 2, Host: "h", Port: 9}}
	return resp.AppendTo(nil)
}

func TestFetchReader(t *testing.T) {
	for version := int16(12); version <= 17; version++ {
		in, err := ReadFetch(version, leaderAnswer(version))
		if err != nil || in.SessionID != 77 || in.ErrorCode != 0 || in.Throttle != 3 {
			t.Fatalf("v%d: head %+v, %v", version, in, err)
		}
		var got []FetchedFrom
		for p, ok := in.Next(); ok; p, ok = in.Next() {
			got = append(got, *p)
		}
		none := FetchedPartition{HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1,
			Records: []byte{}, Diverging: NoEpochEnd, Leader: NoLeader}
		first, second, third := none, none, none
		first.HighWatermark, first.LastStableOffset, first.LogStartOffset, first.Records = 100, 99, 5, []byte("records")
		second.Index, second.ErrorCode, second.Leader = 4, 6, LeaderEpoch{2, 8}
		third.Index, third.Diverging = 1, EpochEnd{3, 50}
		want := []FetchedFrom{
			{[]byte("orders"), [16]byte{}, first}, {[]byte("orders"), [16]byte{}, second}, {[]byte("payments"), [16]byte{}, third},
		}
		if version >= 13 {
			want = []FetchedFrom{{nil, [16]byte{1}, first}, {nil, [16]byte{1}, second}, {nil, [16]byte{2}, third}}
		}
		if !reflect.DeepEqual(got, want) || in.Err() != nil {
			t.Errorf("v%d: %v\n got %+v\nwant %+v", version, in.Err(), got, want)
		}
	}
}

func TestFetchReaderOfTornBodies(t *testing.T) {
	body := leaderAnswer(13)
	for n := range body {
		in, err := ReadFetch(13, body[:n:n])
		for _, ok := in.Next(); ok; _, ok = in.Next() {
		}
		if err == nil && in.Err() == nil && n < len(body)-1 { // the tags at the end are not looked at
			t.Errorf("%d of %d bytes are taken for a whole response", n, len(body))
		}
	}
}

func TestFetchReaderDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	body, req, dst := leaderAnswer(17), followerFetch(17), make([]byte, 0, 1024)
	n := testing.AllocsPerRun(100, func() {
		in, _ := ReadFetch(17, body)
		for _, ok := in.Next(); ok; _, ok = in.Next() {
		}
		dst = req.AppendTo(dst[:0])
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzFetchReader(f *testing.F) {
	for version := int16(12); version <= 17; version++ {
		f.Add(version, leaderAnswer(version))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		in, err := ReadFetch(version, body)
		if err != nil {
			return
		}
		size := 0
		for p, ok := in.Next(); ok; p, ok = in.Next() {
			size += len(p.Records)
		}
		if size > len(body) {
			t.Errorf("%d bytes of records in a body of %d", size, len(body))
		}
	})
}
