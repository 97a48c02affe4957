package record

// Origin says who appends to a leader, and so how much is checked (AppendOrigin).
type Origin int8

// Origins.
const (
	// Client is a producer: all is checked.
	Client Origin = iota
	// Coordinator is a group or transaction coordinator, and whoever writes transaction markers:
	// control batches and any sequence numbers are allowed.
	Coordinator
	// Replication is a follower; what it appends goes through CheckReplicated.
	Replication
)

// Policy is what a topic's configuration says of the batches that it takes. It must not be changed
// while it is in use.
type Policy struct {
	// Partition is the name of the partition, topic-index, for messages.
	Partition string
	// Compression is compression.type: Producer, or the codec to store with.
	Compression Codec
	// GzipLevel, LZ4Level and ZstdLevel are compression.<codec>.level. 0 takes the default of Kafka:
	// -1, 9 and 3.
	GzipLevel, LZ4Level, ZstdLevel int
	// TimestampType is message.timestamp.type.
	TimestampType TimestampType
	// BeforeMax and AfterMax are message.timestamp.before.max.ms and after.max.ms: how far a timestamp
	// may lie before and after now; math.MaxInt64 is no limit.
	BeforeMax, AfterMax int64
	// Compacted says that records need a key: cleanup.policy holds compact.
	Compacted bool
	// MaxMessageBytes is max.message.bytes, the largest batch in bytes, header included.
	MaxMessageBytes int
}

// level returns the level to compress codec with.
func (p *Policy) level(codec Codec) int {
	level := 0
	switch codec {
	case Gzip:
		level = p.GzipLevel
	case LZ4:
		level = p.LZ4Level
	case Zstd:
		level = p.ZstdLevel
	}
	if level == 0 {
		return codec.DefaultLevel()
	}
	return level
}

// Validate checks the batches of records as the leader of a partition does before it appends them
// (LogValidator, UnifiedLog.analyzeAndValidateRecords) at the time now, in ms, and makes them what the
// topic stores. It needs no lock and no offset: Assign gives the offsets later.
//
// Records that can stay as they are stay where they are, and a few header fields are changed in
// place; otherwise they are rebuilt as one batch of format v2. A batch at the end of records that is
// not whole is left out. If records holds nothing that is whole, Validated is empty and there is no
// error. An error is an *Error, and nothing of records must be written then.
//
// It is stricter than Kafka in what no consumer could read: a compressed record whose fields do not
// add up to its length, or whose length is beyond MaxRecordBytes; bytes after the end of a compressed stream.
func (p *Policy) Validate(records []byte, origin Origin, now int64) (Validated, error) {
	return Validated{}, ErrShort
}

// CheckReplicated checks what a follower fetched from its leader (UnifiedLog.appendAsFollower):
// structure, checksums and increasing offsets. Records and offsets stay as they are. A batch at the
// end that is not whole is left out of Validated.Records. Of a size there is no limit.
func CheckReplicated(records []byte) (Validated, error) { return Validated{}, ErrShort }
