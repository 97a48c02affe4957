package fetch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
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

// convert returns the records of t as its client understands them (down-conversion), or why it cannot be given any:
// that comes before other errors (KafkaApis.maybeConvertFetchedData). It takes the section out of t.
func (p *plan) convert(h *Handler, t *target) (request.Section, error) {
	version, section := p.request.Version, t.result.Section
	t.result.Section = nil // the caller's now
	if version >= zstdVersion {
		return section, t.err
	}
	local, err := h.Replicas.Partition(t.topicPartition())
	if err != nil || t.refused != nil {
		return section, t.err
	}
	config, magic := local.Log().Config(), targetMagic(version)
	switch {
	case config.Policy.Compression == record.Zstd:
		err = kerr.UnsupportedCompressionType
	case magic < record.MagicV2 && p.replicaID < 0 && !config.DownConversion:
		err = kerr.UnsupportedVersion
	default:
		err = t.err
	}
	switch {
	case section == nil || err == nil && magic == record.MagicV2:
		return section, err
	case err != nil:
		section.Release()
		return nil, err
	}
	return h.conversions.convert(section, t.result.Found, record.Conversion{Magic: magic, From: t.options.Offset})
}
