package wire

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
)

// encode is req as Kafka writes it.
func encode(req kmsg.Request) []byte {
	if r, ok := req.(*kmsg.StopReplicaRequest); ok {
		return (&StopReplicaRequest{*r}).AppendTo(nil)
	}
	return req.AppendTo(nil)
}

func TestLayoutsAreThoseOfKafka(t *testing.T) {
	rng := seed.Rand(t)
	eachVersion(t, func(t *testing.T, api API, version int16) {
		if api.Key == KeyFetch {
			t.Skip("decoded by FetchRequest")
		}
		for range 20 {
			body := encode(randomRequest(rng, api.Key, version))
			n, err := checkBody(&api, version, append(bytes.Clone(body), "trailing"...))
			if err != nil || n != len(body) {
				t.Fatalf("layout takes %d of %d bytes, error %v", n, len(body), err)
			}
			for end := range body {
				if _, err := checkBody(&api, version, body[:end]); !errors.Is(err, ErrTruncated) {
					t.Fatalf("%d of %d bytes: %v, want %v", end, len(body), err, ErrTruncated)
				}
			}
		}
	})
}

func TestDecode(t *testing.T) {
	rng := seed.Rand(t)
	eachVersion(t, func(t *testing.T, api API, version int16) {
		if api.Key == KeyFetch {
			t.Skip("decoded by FetchRequest")
		}
		for range 5 {
			body := encode(randomRequest(rng, api.Key, version))
			want := bytes.Clone(body)
			into := kmsg.RequestForKey(api.Key)
			if err := Decode(&request.Request{Key: api.Key, Version: version, Body: body}, into); err != nil {
				t.Fatal(err)
			}
			clear(body) // what was decoded must not alias it
			if got := encode(into); !bytes.Equal(got, want) {
				t.Fatalf("round trip: %x, want %x", got, want)
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name         string
		key, version int16
		body         string
		into         kmsg.Request
		err          error
	}{
		{"array cut short", 3, 1, "\x00\x00\x00\x05", &kmsg.MetadataRequest{}, ErrTruncated},
		{"array of 2^31-1", 3, 1, "\x7f\xff\xff\xff", &kmsg.MetadataRequest{}, ErrTruncated},
		{"empty body", 3, 1, "", &kmsg.MetadataRequest{}, ErrTruncated},
		{"array length -2 is null", 3, 1, "\xff\xff\xff\xfe", &kmsg.MetadataRequest{}, nil},
		{"array that may be null later", 3, 0, "\xff\xff\xff\xff", &kmsg.MetadataRequest{}, ErrTruncated},
		{"array that is null", 2, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", &kmsg.ListOffsetsRequest{}, ErrTruncated},
		{"array of length -5", 2, 1, "\xff\xff\xff\xff\xff\xff\xff\xfb", &kmsg.ListOffsetsRequest{}, ErrTruncated},
		{"compact array that is null", 2, 6, "\xff\xff\xff\xff\x00\x00\x00", &kmsg.ListOffsetsRequest{}, ErrTruncated},
		{"array in an array that is null", 15, 0, "\x00\x00\x00\x01\xff\xff", &kmsg.DescribeGroupsRequest{}, ErrTruncated},
		{"array that may be null", 32, 0, "\x00\x00\x00\x01\x02\x00\x01t\xff\xff\xff\xff", &kmsg.DescribeConfigsRequest{}, nil},
		{"string that is null", 10, 0, "\xff\xff", &kmsg.FindCoordinatorRequest{}, ErrTruncated},
		{"compact string that is null", 10, 3, "\x00\x00\x00", &kmsg.FindCoordinatorRequest{}, ErrTruncated},
		{"string that may be null", 22, 0, "\xff\xff\x00\x00\x00\x00", &kmsg.InitProducerIDRequest{}, nil},
		{"bytes that are null", 14, 0, "\x00\x01g\x00\x00\x00\x00\x00\x01m\x00\x00\x00\x01\x00\x01m\xff\xff\xff\xff", &kmsg.SyncGroupRequest{}, ErrTruncated},
		{"string of 32767 bytes", 10, 3, "\x80\x80\x02" + strings.Repeat("g", 32767) + "\x00\x00", &kmsg.FindCoordinatorRequest{}, nil},
		{"string of 32768 bytes", 10, 3, "\x81\x80\x02" + strings.Repeat("g", 32768) + "\x00\x00", &kmsg.FindCoordinatorRequest{}, ErrTruncated},
		{"four billion tags", 3, 12, "\x00\x00\x00\xff\xff\xff\xff\x0f", &kmsg.MetadataRequest{}, ErrTruncated},
		{"version", 3, 13, "", &kmsg.MetadataRequest{}, ErrUnsupportedVersion},
		{"key", 52, 0, "", &kmsg.VoteRequest{}, ErrUnknownKey},
	} {
		if err := DecodeBody(tt.into, tt.key, tt.version, []byte(tt.body)); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if err := DecodeBody(&kmsg.MetadataRequest{}, 2, 0, nil); err == nil {
		t.Error("decoded ListOffsets into Metadata")
	}
	if err := DecodeBody(&kmsg.FetchRequest{}, 1, 0, nil); err == nil {
		t.Error("decoded Fetch with kmsg")
	}
}

// The fields of version 4 in the order of Kafka's schema: controller 1, not KRaft, controller epoch 2,
// broker epoch 3, topic "t" with partition 4 of leader epoch 5, to be deleted.
func TestStopReplicaV4HasKafkasOrder(t *testing.T) {
	const want4 = "\x00\x00\x00\x01" + "\x00" + "\x00\x00\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x03" +
		"\x02" + "\x02t" + "\x02" + "\x00\x00\x00\x04" + "\x00\x00\x00\x05" + "\x01" + "\x00" + "\x00" + "\x00"
	req := &StopReplicaRequest{kmsg.NewStopReplicaRequest()}
	if err := DecodeBody(&req.StopReplicaRequest, KeyStopReplica, 4, []byte(want4)); err != nil {
		t.Fatal(err)
	}
	if req.ControllerID != 1 || req.IsKRaftController || req.ControllerEpoch != 2 || req.BrokerEpoch != 3 {
		t.Errorf("decoded %+v", req)
	}
	if p := req.Topics[0].PartitionStates[0]; p.Partition != 4 || p.LeaderEpoch != 5 || !p.Delete {
		t.Errorf("decoded partition %+v", p)
	}
	if got := req.AppendTo([]byte("x")); string(got) != "x"+want4 {
		t.Errorf("encoded %x, want %x", got, "x"+want4)
	}
	again := &StopReplicaRequest{kmsg.NewStopReplicaRequest()}
	again.SetVersion(4)
	if err := again.ReadFrom([]byte(want4)); err != nil || !reflect.DeepEqual(again, req) {
		t.Errorf("ReadFrom gives %+v, %v", again, err)
	}
}

func TestNoStructureIsLargerThanItsWeight(t *testing.T) {
	var visit func(typ reflect.Type)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice:
			if e := typ.Elem(); e.Kind() == reflect.Struct && e.Size() > structWeight {
				t.Errorf("%v takes %d bytes, more than %d", e, e.Size(), structWeight)
			}
			visit(typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				visit(typ.Field(i).Type)
			}
		}
	}
	for _, api := range APIs() {
		visit(reflect.TypeOf(kmsg.RequestForKey(api.Key)).Elem())
	}
}

// A count that is not backed by bytes must cost nothing, wherever it stands.
func TestHostileCountsCostNoMemory(t *testing.T) {
	const size = 256 << 10
	eachVersion(t, func(t *testing.T, api API, version int16) {
		if api.Key == KeyFetch {
			t.Skip("decoded by FetchRequest")
		}
		for _, fill := range []byte{0x00, 0x01, 0x02, 0x7f, 0x83} { // 0x83...: varints of four and more bytes
			body := bytes.Repeat([]byte{fill}, size)
			if fill == 0x83 {
				body[4], body[8], body[9] = 0x03, 0x03, 0x03
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := DecodeBody(kmsg.RequestForKey(api.Key), api.Key, version, body)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > decodedBytesMax+2*size || err != nil && n > size/4 {
				t.Errorf("%d bytes of %#x took %d bytes to decode, error %v", size, fill, n, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	rng := seed.Rand(f)
	for _, api := range APIs() {
		for v := api.Min; v <= api.Max; v++ {
			f.Add(api.Key, v, encode(randomRequest(rng, api.Key, v)))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		api := Lookup(key)
		if api == nil || !api.Supports(version) || key == KeyFetch {
			return
		}
		into := kmsg.RequestForKey(key)
		into.SetVersion(version)
		if err := DecodeBody(into, key, version, body); err != nil {
			return
		}
		again := kmsg.RequestForKey(key)
		if err := DecodeBody(again, key, version, encode(into)); err != nil {
			t.Errorf("%s v%d: what was decoded from %x cannot be decoded again: %v", api.Name, version, body, err)
		}
	})
}
