package record

import "hash/crc32"

// rebuildBatch validates a batch of format v2 that cannot stay as it is, and builds it anew.
func (v *validation) rebuildBatch(b Batch) (Validated, error) {
	opts := v.options()
	opts.Transactional = b.IsTransactional()
	opts.Producer = &ProducerInfo{ID: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence()}
	if err := checkProducer(b); err != nil {
		return Validated{}, err
	}
	r := v.newRebuild(opts)
	defer r.discard()
	rules := v.policy.rules(v.now, b.TimestampType())
	index := int32(0)
	err := b.each(func(record Record) error {
		noKey := record.Key == nil
		if rules.refuse(noKey, record.Timestamp) {
			offset := record.Offset
			key, value := int32(len(record.Key)), int32(len(record.Value))
			r.faults.add(&rules, index, noKey, record.Timestamp, offset, func() string {
				return describeRecord(false, offset, record.Timestamp, key, value)
			})
		}
		index++
		return r.add(record)
	})
	if err == nil {
		err = r.faults.err()
	}
	if err != nil {
		return Validated{}, err
	}
	return v.rebuilt(r)
}

// checkProducer checks what Kafka does when it builds a batch, and only then.
func checkProducer(b Batch) error {
	switch {
	case b.ProducerID() == NoProducerID && b.IsTransactional():
		return errorf(ErrInvalidRecord, "Cannot write transactional messages without a valid producer ID")
	case b.ProducerID() == NoProducerID:
		return nil
	case b.ProducerEpoch() == NoProducerEpoch:
		return errorf(ErrInvalidRecord, "Invalid negative producer epoch")
	case b.BaseSequence() < 0:
		return errorf(ErrInvalidRecord, "Invalid negative sequence number used")
	}
	return nil
}

// rebuildMessages validates messages of format v0 or v1, and builds a batch of format v2 of them.
func (v *validation) rebuildMessages(records []byte) (Validated, error) {
	r := v.newRebuild(v.options())
	defer r.discard()
	err := Each(records, func(b Batch) error {
		if b.Magic() != v.first.Magic() {
			err := errorf(ErrInvalidRecord, "Batch magic %d is not the same as the first batch's magic byte %d in topic partition %s",
				b.Magic(), v.first.Magic(), v.policy.Partition)
			err.Cause = CauseMagic
			return err
		}
		rules := v.policy.rules(v.now, b.TimestampType())
		if b.Codec() == None {
			return r.addPlain(b, &rules)
		}
		return r.addInner(b, &rules)
	})
	if err != nil {
		return Validated{}, err
	}
	result, err := v.rebuilt(r)
	result.Converted = result.Count
	return result, err
}

// options returns those for a batch that is built anew.
func (v *validation) options() BuilderOptions {
	codec := v.target()
	return BuilderOptions{
		Codec:         codec,
		Level:         v.policy.level(codec),
		TimestampType: v.policy.TimestampType,
		AppendTime:    v.now,
		SizeHint:      v.size + v.size/8,
	}
}

// rebuild is a batch being built anew, no longer than the policy allows.
type rebuild struct {
	builder *Builder
	faults  faults
	policy  *Policy
}

// newRebuild begins a batch when it is its turn. The caller discards it in the end, also after rebuilt.
func (v *validation) newRebuild(opts BuilderOptions) *rebuild {
	rebuildSlots <- struct{}{}
	return &rebuild{builder: NewBuilder(MagicV2, opts), policy: v.policy}
}

func (r *rebuild) discard() {
	r.builder.Discard()
	<-rebuildSlots
}

// add appends a record to the batch, unless records have been refused: then nothing comes of it.
func (r *rebuild) add(record Record) error {
	if r.faults.total > 0 {
		return nil
	}
	if record.Timestamp < NoTimestamp {
		return errorf(ErrInvalidTimestamp, "Invalid negative timestamp %d", record.Timestamp)
	}
	if err := r.builder.Append(record); err != nil {
		return err
	}
	// Checked along the way too, so that what inflates beyond all bounds is noticed in time.
	return r.checkSize(len(r.builder.out))
}

func (r *rebuild) checkSize(size int) error {
	if size <= r.policy.MaxMessageBytes {
		return nil
	}
	return errorf(ErrMessageTooLarge, "Message batch size is %d bytes in append topartition %s which exceeds the maximum configured size of %d.",
		size, r.policy.Partition, r.policy.MaxMessageBytes)
}

// addPlain adds a plain message of format v0 or v1, whose checksum has been verified.
func (r *rebuild) addPlain(b Batch, rules *rules) error {
	m, err := parseMessage(b)
	if err != nil {
		return err
	}
	if noKey := m.key == nil; rules.refuse(noKey, m.time) {
		r.faults.add(rules, 0, noKey, m.time, m.offset, func() string {
			return m.describe(m.offset, b.TimestampType(), m.time)
		})
		return r.faults.err()
	}
	return r.add(Record{Timestamp: m.time, Key: m.key, Value: m.value})
}

// addInner adds the messages inside a compressed message of format v0 or v1. The texts about refused
// ones need their offsets, which depend on the last one: they are listed in a second pass.
func (r *rebuild) addInner(b Batch, rules *rules) error {
	last, faulty := int64(0), false
	err := b.inner(func(m message, raw []byte) error {
		last = m.offset
		if m.magic != b.Magic() {
			faulty = true
			return nil
		}
		if computed := crc32.ChecksumIEEE(raw[posMagic:]); computed != m.crc {
			err := errorf(ErrCorrupt, "Record is corrupt (stored crc = %d, computed crc = %d)", m.crc, computed)
			err.Cause = CauseChecksum
			return err
		}
		time := b.innerTime(m)
		if faulty = faulty || rules.refuse(m.key == nil, time); faulty {
			return nil
		}
		return r.add(Record{Timestamp: time, Key: m.key, Value: m.value})
	})
	if err != nil {
		return err
	}
	base, err := b.innerBase(last)
	if err != nil || !faulty {
		return err
	}
	return r.listInner(b, base, rules)
}

// listInner returns the error for a compressed message with refused ones inside, to whose offsets base
// is to be added.
func (r *rebuild) listInner(b Batch, base int64, rules *rules) error {
	index := int32(-1)
	err := b.inner(func(m message, _ []byte) error {
		index++
		offset, time, noKey := base+m.offset, b.innerTime(m), m.key == nil
		describe := func() string { return m.describe(offset, b.TimestampType(), time) }
		switch {
		case m.magic != b.Magic():
			r.faults.addMagic(rules, index, b.Magic(), describe)
		case rules.refuse(noKey, time):
			r.faults.add(rules, index, noKey, time, offset, describe)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.faults.err()
}

// rebuilt finishes the batch.
func (v *validation) rebuilt(r *rebuild) (Validated, error) {
	maxTime, maxTimeOffset := r.builder.maxTime, r.builder.last
	if v.policy.TimestampType == LogAppendTime {
		maxTime = v.now
	} else if maxTime == NoTimestamp {
		maxTimeOffset = -1
	}
	out, err := r.builder.finish()
	if err != nil {
		return Validated{}, err
	}
	if err := r.checkSize(len(out)); err != nil {
		return Validated{}, err
	}
	result := v.result(out, int64(r.builder.count), maxTime, maxTimeOffset)
	result.Rebuilt = true
	return result, nil
}
