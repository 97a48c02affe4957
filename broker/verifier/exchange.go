package verifier

import (
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Versions of AddPartitionsToTxn that brokers ask each other in (KIP-890).
const (
	oldestVersion = 4
	newestVersion = 5
)

// errUnverifiable says that a broker knows no version in which it could be asked.
var errUnverifiable = errors.New("the broker does not verify transactions")

// exchange sends req on the peer's connection, on a new one if there is none to its present address. The broker may
// have closed one that was idle; then it is tried once more.
func (v *Verifier) exchange(p *peer, req *kmsg.AddPartitionsToTxnRequest) (*kmsg.AddPartitionsToTxnResponse, error) {
	addr, ok := v.opts.Address(p.id)
	if !ok {
		return nil, fmt.Errorf("broker %d is not alive", p.id)
	}
	if p.conn != nil && p.conn.Addr() == addr {
		resp, err := v.roundTrip(p, req)
		if err == nil || v.ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errUnverifiable) {
			return resp, err
		}
	}
	p.hangUp()
	if err := v.connect(p, addr); err != nil {
		return nil, err
	}
	return v.roundTrip(p, req)
}

// connect opens the peer's connection and finds out which versions it knows.
func (v *Verifier) connect(p *peer, addr string) error {
	conn, err := v.opts.Dial(v.ctx, addr)
	if err != nil {
		return err
	}
	resp, err := conn.RoundTrip(v.ctx, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		conn.Close()
		return err
	}
	p.conn, p.version = conn, 0
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		if k.ApiKey == int16(kmsg.AddPartitionsToTxn) {
			p.version = min(k.MaxVersion, newestVersion)
		}
	}
	return nil
}

func (v *Verifier) roundTrip(p *peer, req *kmsg.AddPartitionsToTxnRequest) (*kmsg.AddPartitionsToTxnResponse, error) {
	if p.version < oldestVersion {
		return nil, errUnverifiable
	}
	req.SetVersion(p.version)
	resp, err := p.conn.RoundTrip(v.ctx, req)
	if err != nil {
		p.hangUp()
		return nil, err
	}
	return resp.(*kmsg.AddPartitionsToTxnResponse), nil
}

func (p *peer) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// answer tells those who have asked what the coordinator said (AddPartitionsToTxnHandler).
func answer(batch []*asked, resp *kmsg.AddPartitionsToTxnResponse, err error) {
	whole := int16(0)
	switch {
	case errors.Is(err, errUnverifiable):
	case err != nil:
		whole = kerr.NetworkException.Code
	case resp.ErrorCode == kerr.ClusterAuthorizationFailed.Code:
		whole = kerr.InvalidTxnState.Code // it is not the client's to know
	default:
		whole = resp.ErrorCode
	}
	if err != nil || whole != 0 {
		for _, a := range batch {
			a.repeat(whole)
		}
		return
	}
	found := make(map[string]*kmsg.AddPartitionsToTxnResponseTransaction, len(resp.Transactions))
	for i := range resp.Transactions {
		found[resp.Transactions[i].TransactionalID] = &resp.Transactions[i]
	}
	for _, a := range batch {
		a.answer <- codes(&a.Question, found[a.TransactionalID])
	}
}

// codes returns what t says of q's partitions; of one that it leaves out nothing is known.
func codes(q *Question, t *kmsg.AddPartitionsToTxnResponseTransaction) []int16 {
	said := map[topic.Partition]int16{}
	if t != nil {
		for i := range t.Topics {
			for _, p := range t.Topics[i].Partitions {
				code := p.ErrorCode
				if code == kerr.ProducerFenced.Code {
					code = kerr.InvalidProducerEpoch.Code
				}
				said[topic.Partition{Topic: t.Topics[i].Topic, Index: p.Partition}] = code
			}
		}
	}
	list := make([]int16, len(q.Partitions))
	for i, p := range q.Partitions {
		code, ok := said[p]
		if !ok {
			code = kerr.UnknownServerError.Code
		}
		list[i] = code
	}
	return list
}
