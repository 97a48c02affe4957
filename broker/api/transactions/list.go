package transactions

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// states are those of a transaction (TransactionState).
var states = []string{
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
}

// ListTransactions lists the transactions that this broker coordinates, which is none, versions 0 and 1. Tools ask every
// broker of the cluster (KIP-664).
func (h *Handlers) ListTransactions(r *request.Request) {
	req := kmsg.NewPtrListTransactionsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	told := map[string]bool{}
	for _, s := range req.StateFilters {
		if !slices.Contains(states, s) && !told[s] {
			told[s] = true
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, s)
		}
	}
	r.Reply(resp)
}

// DescribeTransactions describes transactions that this broker coordinates, version 0: those that are asked for are
// others' (KIP-664).
func (h *Handlers) DescribeTransactions(r *request.Request) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	for _, id := range req.TransactionalIDs {
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID, s.ErrorCode = id, kerr.NotCoordinator.Code
		if id == "" {
			s.ErrorCode = kerr.InvalidRequest.Code
		}
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	r.Reply(resp)
}
