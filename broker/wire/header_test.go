package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestParseHeaderReadsWhatClientsWrite(t *testing.T) {
	eachVersion(t, func(t *testing.T, api API, version int16) {
		if api.Key == KeyControlledShutdown && version == 0 {
			t.Skip("kmsg's formatter does not know its header")
		}
		req := kmsg.RequestForKey(api.Key)
		req.SetVersion(version)
		for _, id := range []string{"", "client-1"} {
			f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(id))
			frame := f.AppendRequest(nil, req, 77)[4:]
			h, body, err := ParseHeader(frame)
			if err != nil {
				t.Fatal(err)
			}
			if h.Key != api.Key || h.Version != version || h.CorrelationID != 77 || string(h.ClientID) != id {
				t.Errorf("header %+v of client %q", h, id)
			}
			if want := req.AppendTo(nil); !bytes.Equal(body, want) {
				t.Errorf("body %x, want %x", body, want)
			}
		}
	})
}

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name  string
		frame string
		want  Header
		body  string
		err   error
	}{
		{"empty", "", Header{}, "", ErrTruncated},
		{"four bytes", "\x00\x03\x00\x09", Header{Key: 3, Version: 9}, "", ErrTruncated},
		{"unknown key", "\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff", Header{Key: 999, CorrelationID: 1}, "", ErrUnknownKey},
		{"negative key", "\xff\xff\x00\x00\x00\x00\x00\x01\xff\xff", Header{Key: -1, CorrelationID: 1}, "", ErrUnknownKey},
		{"null client id", "\x00\x12\x00\x00\x00\x00\x00\x09\xff\xff", Header{Key: 18, CorrelationID: 9}, "", nil},
		{"client id runs over", "\x00\x12\x00\x00\x00\x00\x00\x09\x00\x05ab", Header{Key: 18, CorrelationID: 9}, "", ErrTruncated},
		{"no client id", "\x00\x12\x00\x00\x00\x00\x00\x09", Header{Key: 18, CorrelationID: 9}, "", ErrTruncated},
		{"tags announced, none there", "\x00\x03\x00\x09\x00\x00\x00\x09\x00\x01a\x05", Header{Key: 3, Version: 9, CorrelationID: 9, ClientID: []byte("a")}, "", ErrTruncated},
		{"tags skipped", "\x00\x03\x00\x09\x00\x00\x00\x09\x00\x01a\x02\x00\x01x\x07\x00body", Header{Key: 3, Version: 9, CorrelationID: 9, ClientID: []byte("a")}, "body", nil},
		{"negative number of tags", "\x00\x03\x00\x09\x00\x00\x00\x09\x00\x01a\xff\xff\xff\xff\x0fbody", Header{Key: 3, Version: 9, CorrelationID: 9, ClientID: []byte("a")}, "body", nil},
		{"ControlledShutdown v0 has no client id", "\x00\x07\x00\x00\x00\x00\x00\x09\x00\x00\x00\x01", Header{Key: 7, CorrelationID: 9}, "\x00\x00\x00\x01", nil},
		{"ApiVersions of the future", "\x00\x12\x00\x63\x00\x00\x00\x09\x00\x01a\x00rest", Header{Key: 18, Version: 99, CorrelationID: 9, ClientID: []byte("a")}, "rest", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, body, err := ParseHeader([]byte(tt.frame))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if h.Key != tt.want.Key || h.Version != tt.want.Version || h.CorrelationID != tt.want.CorrelationID ||
				!bytes.Equal(h.ClientID, tt.want.ClientID) || string(body) != tt.body {
				t.Errorf("got %+v and body %q, want %+v and %q", h, body, tt.want, tt.body)
			}
		})
	}
}

func TestResponseHeaderHasTagsFromFlexibleVersionsOn(t *testing.T) {
	for _, tt := range []struct {
		key, version int16
		want         string
	}{
		{3, 8, "\x00\x00\x00\x05"},
		{3, 9, "\x00\x00\x00\x05\x00"},
		{KeyApiVersions, 3, "\x00\x00\x00\x05"},
		{KeyApiVersions, 99, "\x00\x00\x00\x05"},
		{17, 1, "\x00\x00\x00\x05"},
	} {
		if got := AppendResponseHeader(nil, tt.key, tt.version, 5); string(got) != tt.want {
			t.Errorf("header of key %d v%d is %x, want %x", tt.key, tt.version, got, tt.want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x09\x00\x00\x00\x09\x00\x01a\x02\x00\x01x\x07\x00body"))
	f.Add([]byte("\x00\x12\x00\x00\x00\x00\x00\x09\xff\xff"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseHeader(frame)
		if err == nil && (!bytes.HasSuffix(frame, body) || len(h.ClientID)+len(body)+8 > len(frame)) {
			t.Errorf("header %+v and body %x of %x", h, body, frame)
		}
	})
}
