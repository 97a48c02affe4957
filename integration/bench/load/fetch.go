package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
)

// fetchVersion is what Kafka 3.9's own consumer sends.
const fetchVersion = 17

// A Fetch reads partition 0 of a topic from its beginning to End, and again from its beginning, one
// request after the other, in a fetch session (KIP-227).
type Fetch struct {
	TopicID  [16]byte
	End      int64 // the offset after the last record; the log begins at 0
	MaxBytes int32 // of records in a response
	// Verify looks at every batch that is read, which takes more time than reading it.
	Verify bool
	// Blind is for a server that knows no batches: what it answers is counted and not looked at.
	Blind bool
}

// Run reads until the limit is reached. It counts the bytes of batches that came whole.
func (f Fetch) Run(ctx context.Context, addr string, limit Limit) (Result, error) {
	var r Result
	conn, err := Dial(ctx, addr)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	req := f.request()
	partition := &req.Topics[0].Partitions[0]
	r.Latency.Reserve(int(min(limit.Bytes/int64(f.MaxBytes)+1, 1<<20)))
	start := time.Now()
	for now := start; now.Sub(start) < limit.Time && r.Bytes < limit.Bytes; now = time.Now() {
		resp, err := conn.RoundTrip(ctx, req)
		if err != nil {
			return r, err
		}
		r.Latency.Add(time.Since(now))
		session := resp.(*kmsg.FetchResponse)
		records, err := fetched(session)
		if err != nil {
			return r, fmt.Errorf("fetch from offset %d: %w", partition.FetchOffset, err)
		}
		next, size := partition.FetchOffset, len(records)
		if !f.Blind {
			if next, size, err = f.walk(records, next); err != nil {
				return r, fmt.Errorf("fetch from offset %d: %w", partition.FetchOffset, err)
			}
		}
		if next >= f.End {
			next = 0
		}
		partition.FetchOffset = next
		req.SessionID, req.SessionEpoch = session.SessionID, req.SessionEpoch+1
		r.Requests++
		r.Bytes += int64(size)
	}
	r.Elapsed = time.Since(start)
	return r, nil
}

func (f Fetch) request() *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchVersion, 500, 1, f.MaxBytes
	req.SessionID, req.SessionEpoch = 0, 0 // asks for a session
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = f.TopicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.PartitionMaxBytes = -1, f.MaxBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// fetched returns the records of the one partition in a response.
func fetched(resp *kmsg.FetchResponse) ([]byte, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("no records before the end of the log")
	}
	p := resp.Topics[0].Partitions[0]
	return p.RecordBatches, kerr.ErrorForCode(p.ErrorCode)
}

// walk returns the offset after the last whole batch of records, which begin with the batch that
// holds the offset next, and how many bytes the whole batches have.
func (f Fetch) walk(records []byte, next int64) (int64, int, error) {
	size := 0
	for len(records) > 0 {
		batch, rest, err := record.Next(records)
		if errors.Is(err, record.ErrShort) {
			break
		}
		if err == nil && f.Verify {
			err = batch.Check()
		}
		if err == nil && (batch.BaseOffset() > next || batch.NextOffset() <= next) {
			err = fmt.Errorf("a batch of offsets %d to %d where %d is expected", batch.BaseOffset(), batch.LastOffset(), next)
		}
		if err != nil {
			return 0, 0, err
		}
		next, records = batch.NextOffset(), rest
		size += len(batch)
	}
	if size == 0 {
		return 0, 0, errors.New("not one whole batch")
	}
	return next, size, nil
}
