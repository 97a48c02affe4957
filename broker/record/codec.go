package record

// Codec is a compression codec by its number in batch attributes, or Producer.
type Codec int8

// The codecs. Producer is not one of a batch: as a policy it means "keep what the producer chose".
const (
	Producer Codec = -1
	None     Codec = 0
	Gzip     Codec = 1
	Snappy   Codec = 2
	LZ4      Codec = 3
	Zstd     Codec = 4
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Valid reports whether c can be the codec of a batch.
func (c Codec) Valid() bool { return c >= None && c <= Zstd }

// String returns Kafka's name of the codec (CompressionType.name).
func (c Codec) String() string {
	switch {
	case c.Valid():
		return codecNames[c]
	case c == Producer:
		return "producer"
	}
	return "unknown"
}

// ParseCompression reads a value of the topic property compression.type: "producer",
// "uncompressed" or a codec's name ("none" is one for producers, not for topics).
func ParseCompression(s string) (Codec, bool) {
	switch s {
	case "producer":
		return Producer, true
	case "uncompressed":
		return None, true
	}
	for c := Gzip; c <= Zstd; c++ {
		if s == codecNames[c] {
			return c, true
		}
	}
	return None, false
}

// DefaultLevel returns the level that Kafka compresses with if none is configured.
func (c Codec) DefaultLevel() int {
	switch c {
	case Gzip:
		return -1
	case LZ4:
		return 9
	case Zstd:
		return 3
	}
	return 0
}
