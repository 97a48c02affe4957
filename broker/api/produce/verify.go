package produce

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
)

// verify has the transaction of the last job verified in those partitions where it has no records yet (KIP-890).
// The appends from first on are the job's; those that are refused are done afterwards.
//
// It waits for the coordinator, and so does the connection: what the client has sent behind has higher sequence
// numbers, and must not be looked at before. Kafka does not either, as it has one request of a connection under way
// at a time. What was planned before is done and answered first.
func (b *batch) verify(first int) {
	question, at := b.question(first)
	if len(at) == 0 {
		return
	}
	if last := len(b.jobs) - 1; last > 0 {
		b.flush(last, first)
		first = 0
		if question, at = b.question(first); len(at) == 0 {
			return // what came before has begun the transaction
		}
	}
	j := &b.jobs[0]
	question.TransactionalID = j.decoded.TransactionalID
	j.request.Waits()
	codes := b.h.Verify(question)
	b.now = b.h.Now()
	for k, i := range at {
		if codes[k] != 0 {
			b.refuse(&b.appends[i], refusal(codes[k], j.request.Version))
		}
	}
}

// question returns what is to be asked about the appends from first on, and which ones it is about. Those that this
// broker does not lead are refused.
func (b *batch) question(first int) (q verifier.Question, at []int) {
	for i := first; i < len(b.appends); i++ {
		a := &b.appends[i]
		data, _, err := record.Next(a.records)
		if a.Partition == nil || err != nil || !data.IsTransactional() || !data.HasProducerID() {
			continue
		}
		a.guard, err = a.StartVerification(data.ProducerID(), data.BaseSequence(), data.ProducerEpoch(), b.now.UnixMilli())
		switch {
		case err != nil:
			b.refuse(a, err)
		case a.guard != 0:
			q.ProducerID, q.Epoch = data.ProducerID(), data.ProducerEpoch()
			q.Partitions = append(q.Partitions, topic.Partition{Topic: a.Topic, Index: a.Index})
			at = append(at, i)
		}
	}
	return q, at
}

// refuse ends an append before it is tried.
func (b *batch) refuse(a *planned, err error) {
	j := &b.jobs[a.job]
	b.h.fail(j.request, j.response, j.response.At(a.at), a.Partition.Partition, err)
	a.Partition = nil
}

// refusal turns what verification has come to into what a producer is told (ReplicaManager.handleProduceAppend).
// Older clients do not repeat a request after every error after which they should; NOT_ENOUGH_REPLICAS is one that
// makes them, without a look at the metadata.
func refusal(code, version int16) error {
	if code == kerr.TransactionAbortable.Code && version < abortableVersion {
		code = kerr.InvalidTxnState.Code
	}
	switch kind := kerr.TypedErrorForCode(code); code {
	case kerr.InvalidTxnState.Code:
		return status.New(kind, "Partition was not added to the transaction")
	case kerr.ConcurrentTransactions.Code, kerr.NetworkException.Code, kerr.CoordinatorLoadInProgress.Code,
		kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
		return status.New(kerr.NotEnoughReplicas,
			"Unable to verify the partition has been added to the transaction. Underlying error: "+kind.Message)
	default:
		return &status.Error{Code: code}
	}
}
