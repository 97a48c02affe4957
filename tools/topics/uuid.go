package topics

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/gregor-mq/gregor/broker/topic"
)

// base64Alphabet is that of topic ids.
const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// parseID reads a topic id with Kafka's messages for what is none.
func parseID(text string) (topic.ID, error) {
	if len(text) > 24 {
		return topic.ID{}, illegal("Input string with prefix `%s` is too long to be decoded as a base64 UUID", text[:24])
	}
	raw, err := decodeBase64([]byte(text))
	if err != nil {
		return topic.ID{}, err
	}
	if len(raw) != len(topic.ID{}) {
		return topic.ID{}, illegal("Input string `%s` decoded as %d bytes, which is not equal to the expected 16 bytes of "+
			"a base64-encoded UUID", text, len(raw))
	}
	return topic.ID(raw), nil
}

// decodeBase64 decodes what java.util.Base64's decoder for URLs does: padding may be left out, and if it is there, it must be
// all there. The errors are the decoder's.
func decodeBase64(text []byte) ([]byte, error) {
	if len(text) == 1 {
		return nil, illegal("Input byte[] should at least have 2 bytes for base64 bytes")
	}
	digits := 0
	for digits < len(text) && bytes.IndexByte([]byte(base64Alphabet), text[digits]) >= 0 {
		digits++
	}
	end := digits // of what belongs to the encoding
	if digits < len(text) {
		if text[digits] != '=' {
			return nil, illegal("Illegal base64 character %s", strconv.FormatInt(int64(int8(text[digits])), 16))
		}
		end++
		if digits%4 == 2 {
			end++ // the second padding character
		}
		if digits%4 == 0 || end > len(text) || text[end-1] != '=' {
			return nil, illegal("Input byte array has wrong 4-byte ending unit")
		}
	}
	switch {
	case digits%4 == 1:
		return nil, illegal("Last unit does not have enough valid bits")
	case end < len(text):
		return nil, illegal("Input byte array has incorrect ending byte at %d", end)
	}
	return base64.RawURLEncoding.DecodeString(string(text[:digits]))
}
