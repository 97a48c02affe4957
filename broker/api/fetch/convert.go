package fetch

import (
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
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
// It is bounded by what was read, thus by fetch.max.bytes.
func (p *plan) convert(local *replica.Partition, t *target) error {
	magic := targetMagic(p.request.Version)
	config := local.Log().Config()
	section := t.result.Section
	switch {
	case p.request.Version < zstdVersion && config.Policy.Compression == record.Zstd:
		t.release()
		return kerr.UnsupportedCompressionType
	case magic == record.MagicV2:
		return nil
	case p.replicaID < 0 && !config.DownConversion:
		t.release()
		return kerr.UnsupportedVersion
	case section == nil:
		return nil
	}
	defer t.release()
	data := make([]byte, section.Size())
	if _, err := section.ReadAt(data, 0); err != nil && err != io.EOF {
		return err
	}
	var err error
	t.records, err = record.Convert(nil, data, magic, t.options.Offset)
	return err
}
