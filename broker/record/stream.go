package record

// MaxRecordBytes is the largest decompressed size in bytes of one record of a compressed batch.
const MaxRecordBytes = 128 << 20
