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

// A Fetch reads partition 0 of a topic from its beginning to End, and again from its beginning.
type Fetch struct {
	TopicID  [16]byte
	End      int64 // the offset after the last record; the log begins at 0
	MaxBytes int32 // of records in a response
	// Blind is for a server that knows no batches: what it answers is counted and not looked at.
	Blind bool

	offsets []int64 // that are asked for, one after the other, the first once more at the end
}

// Learn reads the log once, one request after the other, looks at every batch, and notes the offsets
// that Run will ask for. If the limit is reached before the end of the log, Run will not go further.
func (f *Fetch) Learn(ctx context.Context, addr string, limit Limit) error {
	f.offsets = []int64{0}
	if f.Blind {
		f.offsets = []int64{0, 0}
		return nil
	}
	conn, err := Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	req := f.request()
	partition := &req.Topics[0].Partitions[0]
	bytes := int64(0)
	for start := time.Now(); partition.FetchOffset < f.End && time.Since(start) < limit.Time && bytes < limit.Bytes; {
		resp, err := conn.RoundTrip(ctx, req)
		if err != nil {
			return err
		}
		session := resp.(*kmsg.FetchResponse)
		records, err := fetched(session)
		if err != nil {
			return fmt.Errorf("fetch from offset %d: %w", partition.FetchOffset, err)
		}
		next, size, err := walk(records, partition.FetchOffset, true)
		if err != nil {
			return fmt.Errorf("fetch from offset %d: %w", partition.FetchOffset, err)
		}
		bytes += int64(size)
		partition.FetchOffset = next
		f.offsets = append(f.offsets, next)
		req.SessionID, req.SessionEpoch = session.SessionID, req.SessionEpoch+1
	}
	return nil
}

// Run asks for what Learn has found, InFlight requests at a time, as fast as they are answered. It
// counts the bytes of batches that came whole.
func (f *Fetch) Run(ctx context.Context, addr string, limit Limit) (Result, error) {
	var r Result
	r.Latency.Reserve(int(min(limit.Bytes/int64(f.MaxBytes)+1, 1<<20)))
	req := f.request()
	req.SessionEpoch = -1 // a session cannot be asked for before the first response
	partition := &req.Topics[0].Partitions[0]
	var frames [InFlight][]byte
	turn := int64(len(f.offsets) - 1)
	w := window{
		r: &r,
		next: func(request int64, _ time.Time) []byte {
			frame := &frames[request%InFlight]
			partition.FetchOffset = f.offsets[request%turn]
			*frame = formatter.AppendRequest((*frame)[:0], req, int32(request))
			return *frame
		},
		take: func(request int64, response []byte) error {
			size, err := f.take(response, int32(request), f.offsets[request%turn], f.offsets[request%turn+1])
			r.Bytes += int64(size)
			return err
		},
	}
	if err := w.run(ctx, addr, limit); err != nil {
		return r, fmt.Errorf("fetch: %w", err)
	}
	return r, nil
}

// take returns how many bytes of whole batches there are in a response, which must be those from one
// offset to another.
func (f *Fetch) take(response []byte, correlation int32, from, to int64) (int, error) {
	resp := kmsg.FetchResponse{Version: fetchVersion}
	if err := decode(response, correlation, &resp); err != nil {
		return 0, err
	}
	records, err := fetched(&resp)
	if err != nil || f.Blind {
		return len(records), err
	}
	next, size, err := walk(records, from, false)
	if err == nil && next != to {
		err = fmt.Errorf("batches up to offset %d where there were some up to %d", next, to)
	}
	return size, err
}

func (f *Fetch) request() *kmsg.FetchRequest {
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
// holds the offset next, and how many bytes the whole batches have. With verify, it checks their CRC.
func walk(records []byte, next int64, verify bool) (int64, int, error) {
	size := 0
	for len(records) > 0 {
		batch, rest, err := record.Next(records)
		if errors.Is(err, record.ErrShort) {
			break
		}
		if err == nil && verify {
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
