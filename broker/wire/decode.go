package wire

import (
	"bytes"
	"fmt"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Decode decodes r's body in r's version into a kmsg request of r's key. Nothing in it aliases the
// body: handlers may keep it after they have returned.
//
// A body that ends early, or whose decoded form would take more than decodedBytesMax, is refused
// before kmsg sees it; Kafka's reaction to the former is to close the connection (Request.Drop).
// Bytes after the message are ignored, as by Kafka. Fetch is refused: FetchRequest decodes it, and
// ProduceRequest decodes Produce, without allocations.
func Decode(r *request.Request, into kmsg.Request) error {
	return DecodeBody(into, r.Key, r.Version, r.Body)
}

// DecodeOrDrop is Decode for a handler: it drops r, and reports false, if it cannot be decoded.
func DecodeOrDrop(r *request.Request, into kmsg.Request) bool {
	err := Decode(r, into)
	if err != nil {
		r.Drop(err)
	}
	return err == nil
}

// DecodeBody is Decode for a body that came without a request.Request.
func DecodeBody(into kmsg.Request, key, version int16, body []byte) error {
	api := Lookup(key)
	switch {
	case api == nil:
		return fmt.Errorf("decode request with key %d: %w", key, ErrUnknownKey)
	case into.Key() != key:
		return fmt.Errorf("decode %s v%d into a request with key %d", api.Name, version, into.Key())
	case key == KeyFetch:
		return fmt.Errorf("decode %s v%d: kmsg's decoder is not safe for it, use FetchRequest", api.Name, version)
	case !api.Supports(version):
		return fmt.Errorf("decode %s v%d: %w", api.Name, version, ErrUnsupportedVersion)
	}
	n, err := checkBody(api, version, body)
	if err != nil {
		return fmt.Errorf("decode %s v%d: %w", api.Name, version, err)
	}
	into.SetVersion(version)
	body = bytes.Clone(body[:n]) // kmsg's bytes fields alias what they are read from
	if stop, ok := into.(*kmsg.StopReplicaRequest); ok {
		fixed := StopReplicaRequest{*stop}
		err = fixed.ReadFrom(body)
		*stop = fixed.StopReplicaRequest
	} else {
		err = into.ReadFrom(body)
	}
	if err != nil {
		return fmt.Errorf("decode %s v%d: %w", api.Name, version, err)
	}
	return nil
}
