package fetch

import (
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/record"
)

// Fetch versions before which clients understand only older message formats.
const (
	magicV1Version = 2 // before: format v0
	magicV2Version = 4 // before: format v1
)

// targetMagic returns the newest message format that a client of this Fetch version understands.
func targetMagic(version int16) int8 {
	switch {
	case version < magicV1Version:
		return record.MagicV0
	case version < magicV2Version:
		return record.MagicV1
	}
	return record.MagicV2
}

// convert rewrites what was read of t for a client that does not know format v2 (down-conversion).
// It is bounded by what was read, thus by the client's own limits.
func (p *plan) convert(t *target) error {
	magic := targetMagic(p.request.Version)
	if magic == record.MagicV2 || t.result.Section == nil {
		return nil
	}
	section := t.result.Section
	t.result.Section = nil
	defer section.Release()
	local, err := p.handler.Replicas.Partition(t.topicPartition())
	if err != nil {
		return err
	}
	if p.replicaID < 0 && !local.Log().Config().DownConversion {
		return kerr.UnsupportedVersion
	}
	data := make([]byte, section.Size())
	if _, err := section.ReadAt(data, 0); err != nil && err != io.EOF {
		return err
	}
	t.records, err = record.Convert(nil, data, magic, t.options.Offset)
	return err
}
