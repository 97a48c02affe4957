package record

// Origin says who appends to a leader, and so how much is checked (AppendOrigin).
type Origin int8

// Origins.
const (
	// Client is a producer: all is checked.
	Client Origin = iota
	// Coordinator is a group or transaction coordinator, and whoever writes transaction markers:
	// control batches, and producer ids without sequence numbers, are allowed.
	Coordinator
	// Replication is a follower. What it appends goes through CheckReplicated; Validate treats it as
	// Coordinator.
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
	// MaxMessageBytes is max.message.bytes, the size of the largest batch in bytes, header included.
	MaxMessageBytes int
}

// level returns the level to compress codec with, 0 for the default.
func (p *Policy) level(codec Codec) int {
	switch codec {
	case Gzip:
		return p.GzipLevel
	case LZ4:
		return p.LZ4Level
	case Zstd:
		return p.ZstdLevel
	}
	return 0
}

// rules are the parts of a Policy that apply to each record, and what they depend on.
type rules struct {
	partition  string
	now        int64
	beforeMax  int64
	afterMax   int64
	createTime bool // the topic's timestamp type
	compacted  bool
	flagged    bool // the batch claims LogAppendTime, which producers should not do
}

// rules returns p's rules for a batch with the timestamp type t.
func (p *Policy) rules(now int64, t TimestampType) rules {
	return rules{
		partition:  p.Partition,
		now:        now,
		beforeMax:  p.BeforeMax,
		afterMax:   p.AfterMax,
		createTime: p.TimestampType == CreateTime,
		compacted:  p.Compacted,
		flagged:    t == LogAppendTime,
	}
}

// refuse reports whether a record may not be stored; faults.add then tells why.
func (r *rules) refuse(noKey bool, time int64) bool {
	return noKey && r.compacted || r.refuseTime(time)
}

// refuseTime reports whether a record's timestamp is out of range, or of a type that it may not have.
// A quirk of Kafka's: on a topic with CreateTime a claim of LogAppendTime only matters if there is no
// timestamp.
func (r *rules) refuseTime(time int64) bool {
	if r.createTime && time != NoTimestamp {
		age := r.now - time // wraps around as Kafka's does
		return age > r.beforeMax || -age > r.afterMax
	}
	return r.flagged
}
