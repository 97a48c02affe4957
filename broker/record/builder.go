package record

import "errors"

// BuilderOptions describe the batch that a Builder builds.
type BuilderOptions struct {
	Codec         Codec // None by default; Producer is not allowed
	Level         int   // 0: Codec.DefaultLevel
	TimestampType TimestampType
	// AppendTime is the timestamp in ms of all records with LogAppendTime.
	AppendTime  int64
	BaseOffset  int64
	LeaderEpoch int32
	// Producer makes the batch idempotent; nil is none. Format v2 only, as all that follows.
	Producer      *ProducerInfo
	Transactional bool
	Control       bool
	// DeleteHorizon is the delete horizon in ms; 0 is none.
	DeleteHorizon int64
	// LastOffset is the last offset to declare if it is beyond that of the last record, as compaction
	// needs it.
	LastOffset int64
}

// ProducerInfo are the fields of an idempotent producer's batch.
type ProducerInfo struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the record at BaseOffset
}

// OptionsOf returns the options to rebuild b with: everything in its header that does not follow from
// the records.
func OptionsOf(b Batch) BuilderOptions {
	opts := BuilderOptions{
		Codec:         b.Codec(),
		TimestampType: b.TimestampType(),
		AppendTime:    b.MaxTimestamp(),
		BaseOffset:    b.BaseOffset(),
		LeaderEpoch:   b.LeaderEpoch(),
		Transactional: b.IsTransactional(),
		Control:       b.IsControl(),
		LastOffset:    b.LastOffset(),
	}
	if b.HasProducerID() {
		opts.Producer = &ProducerInfo{ID: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence()}
	}
	if ms, ok := b.DeleteHorizon(); ok {
		opts.DeleteHorizon = ms
	}
	return opts
}

// Builder builds one batch of format v2, or messages of format v0 or v1: one compressed message, or
// a plain one per record. It is not safe for concurrent use.
type Builder struct {
	magic int8
	opts  BuilderOptions
	count int32
}

// NewBuilder returns a Builder for the format magic, which must be 0, 1 or 2.
func NewBuilder(magic int8, opts BuilderOptions) *Builder { return &Builder{magic: magic, opts: opts} }

// Append adds r at the next offset, whatever r.Offset says. r's bytes are copied. An error is due to
// an r or options that the format has no place for, and leaves the Builder unusable.
func (bu *Builder) Append(r Record) error { return errors.ErrUnsupported }

// AppendAt adds r at r.Offset, which must be beyond that of the record before.
func (bu *Builder) AppendAt(r Record) error { return errors.ErrUnsupported }

// Len returns how many records were appended.
func (bu *Builder) Len() int { return int(bu.count) }

// Size returns the size in bytes of what Build would append if nothing were compressed.
func (bu *Builder) Size() int { return 0 }

// Build appends the batch to dst. Without records it appends nothing.
func (bu *Builder) Build(dst []byte) ([]byte, error) { return dst, errors.ErrUnsupported }

// AppendEmpty appends to dst what compaction leaves of the v2 batch b if all its records go but its
// producer's state must stay: the header, with no records and no codec.
func AppendEmpty(dst []byte, b Batch) []byte { return dst }
