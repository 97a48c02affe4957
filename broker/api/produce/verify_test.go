package produce

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
)

// asker is the coordinator of all transactions.
type asker struct {
	asked []verifier.Question
	code  int16
	hold  chan struct{} // not nil: an answer waits for it
}

func (a *asker) verify(q verifier.Question) []int16 {
	a.asked = append(a.asked, q)
	code := a.code
	if a.hold != nil {
		<-a.hold
	}
	return slices.Repeat([]int16{code}, len(q.Partitions))
}

func verifying(b *fixture.Broker, a *asker) *Handler {
	h := handler(b)
	h.Verify, h.Verifying = a.verify, func() bool { return true }
	return h
}

func transactional(t *testing.T, version int16, id int64, epoch int16, sequence int32, partitions ...int32) *kmsg.ProduceRequest {
	t.Helper()
	name := "tx"
	req := produceRequest(version, -1, "orders", 0, nil)
	req.TransactionID, req.Topics[0].Partitions = &name, nil
	for _, index := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition = index
		p.Records = fixture.Batch(t, 2, 1, record.BuilderOptions{
			Transactional: true, Producer: &record.ProducerInfo{ID: id, Epoch: epoch, Sequence: sequence},
		})
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	return req
}

func codesOf(resp *kmsg.ProduceResponse) (codes []int16) {
	for _, p := range resp.Topics[0].Partitions {
		codes = append(codes, p.ErrorCode)
	}
	return codes
}

// TestTransactionIsVerifiedOnce for each partition, when its first records come (KIP-890).
func TestTransactionIsVerifiedOnce(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 3, []int32{1}, nil)
	a := &asker{}
	h := verifying(b, a)
	for i, partitions := range [][]int32{{0, 2}, {0, 2}, {0, 1, 2}} {
		resp := kmsg.NewPtrProduceResponse()
		req := transactional(t, 11, 7, 1, int32(2*i), partitions...)
		fixture.Do(t, h, req, resp)
		if i < 2 && !slices.Equal(codesOf(resp), []int16{0, 0}) {
			t.Fatalf("request %d: errors %v", i, codesOf(resp))
		}
	}
	if len(a.asked) != 2 || a.asked[0].TransactionalID != "tx" || a.asked[0].ProducerID != 7 || a.asked[0].Epoch != 1 ||
		!slices.Equal(a.asked[0].Partitions, []topic.Partition{{Topic: "orders"}, {Topic: "orders", Index: 2}}) ||
		!slices.Equal(a.asked[1].Partitions, []topic.Partition{{Topic: "orders", Index: 1}}) {
		t.Errorf("asked %+v, want about two partitions and then about the third", a.asked)
	}
}

// TestUnverifiedTransactions: nothing is written, and clients are told what makes them do the right thing.
func TestUnverifiedTransactions(t *testing.T) {
	const unavailable = "Unable to verify the partition has been added to the transaction. Underlying error: "
	tests := []struct {
		code, version, want int16
		message             string
	}{
		{48, 11, 48, "Partition was not added to the transaction"},
		{120, 11, 120, ""},
		{120, 10, 48, "Partition was not added to the transaction"},
		{47, 11, 47, ""},
		{49, 11, 49, ""},
		{13, 9, 19, unavailable + "NETWORK_EXCEPTION"},
		{14, 9, 19, unavailable + "COORDINATOR_LOAD_IN_PROGRESS"},
		{15, 9, 19, unavailable + "COORDINATOR_NOT_AVAILABLE"},
		{16, 9, 19, unavailable + "NOT_COORDINATOR"},
		{51, 9, 19, unavailable + "CONCURRENT_TRANSACTIONS"},
	}
	for _, tt := range tests {
		b := fixture.New(t)
		b.Topic(t, "orders", 1, []int32{1}, nil)
		h := verifying(b, &asker{code: tt.code})
		got := produce(t, h, transactional(t, tt.version, 7, 0, 0, 0))
		message := ""
		if got.ErrorMessage != nil {
			message = *got.ErrorMessage
		}
		if got.ErrorCode != tt.want || message != tt.message {
			t.Errorf("verification fails with %d: v%d is told %d %q, want %d %q", tt.code, tt.version, got.ErrorCode, message, tt.want, tt.message)
		}
		if end := b.Storage.Log(topic.Partition{Topic: "orders"}).EndOffset(); end != 0 {
			t.Errorf("verification fails with %d: the log ends at %d", tt.code, end)
		}
	}
}

// TestFailedVerificationHoldsLaterBatchesBack: they would make the first one's repetition come out of order.
func TestFailedVerificationHoldsLaterBatchesBack(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	a := &asker{code: 16}
	h := verifying(b, a)
	if got := produce(t, h, transactional(t, 11, 7, 0, 0, 0)); got.ErrorCode != 19 {
		t.Fatalf("first batch: error %d, want 19", got.ErrorCode)
	}
	a.code = 0
	if got := produce(t, h, transactional(t, 11, 7, 0, 2, 0)); got.ErrorCode != 45 {
		t.Errorf("second batch: error %d, want OUT_OF_ORDER_SEQUENCE_NUMBER", got.ErrorCode)
	}
	for _, sequence := range []int32{0, 2} {
		if got := produce(t, h, transactional(t, 11, 7, 0, sequence, 0)); got.ErrorCode != 0 {
			t.Errorf("sequence %d again: error %d", sequence, got.ErrorCode)
		}
	}
}

// TestPipelinedTransaction: requests that came together are appended in order, around the wait for the coordinator;
// what came before is answered before.
func TestPipelinedTransaction(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	b.Topic(t, "others", 1, []int32{1}, nil)
	a := &asker{hold: make(chan struct{})}
	h := verifying(b, a)
	var calls []*fixture.Call
	var requests []*request.Request
	add := func(req *kmsg.ProduceRequest) {
		gather := request.HandlerFunc(func(r *request.Request) { requests = append(requests, r) })
		calls = append(calls, fixture.Send(gather, req, "c"))
	}
	add(produceRequest(11, -1, "others", 0, fixture.Batch(t, 1, 1, record.BuilderOptions{})))
	for i := range int32(4) {
		add(transactional(t, 11, 7, 0, 2*i, 0))
	}
	handled := make(chan struct{})
	go func() {
		h.HandleAll(requests)
		close(handled)
	}()
	calls[0].Wait(t, 11, kmsg.NewPtrProduceResponse())
	if !calls[1].Pending() {
		t.Error("appended before the coordinator has agreed")
	}
	close(a.hold)
	<-handled
	for i, c := range calls[1:] {
		resp := kmsg.NewPtrProduceResponse()
		c.Wait(t, 11, resp)
		if got := resp.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.BaseOffset != int64(2*i) {
			t.Errorf("batch %d: %+v", i, got)
		}
	}
	if len(a.asked) != 1 {
		t.Errorf("asked %d times, want once", len(a.asked))
	}
}

// TestTwoProducersInOneTransaction are refused as a whole.
func TestTwoProducersInOneTransaction(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 2, []int32{1}, nil)
	req := transactional(t, 11, 7, 0, 0, 0)
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, transactional(t, 11, 8, 0, 0, 1).Topics[0].Partitions...)
	resp := kmsg.NewPtrProduceResponse()
	fixture.Do(t, verifying(b, &asker{}), req, resp)
	if got := codesOf(resp); !slices.Equal(got, []int16{49, 49}) {
		t.Errorf("errors %v, want INVALID_PRODUCER_ID_MAPPING", got)
	}
}

// TestUnverifiedByConfiguration: transaction.partition.verification.enable=false asks nobody.
func TestUnverifiedByConfiguration(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	a := &asker{code: 16}
	h := verifying(b, a)
	h.Verifying = func() bool { return false }
	if got := produce(t, h, transactional(t, 11, 7, 0, 0, 0)); got.ErrorCode != 0 || len(a.asked) != 0 {
		t.Errorf("error %d, asked %d times", got.ErrorCode, len(a.asked))
	}
}

// TestAllocationsInATransaction do not grow with its partitions.
func TestAllocationsInATransaction(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 100, []int32{1}, nil)
	var partitions []int32
	for i := range int32(100) {
		partitions = append(partitions, i)
	}
	h := verifying(b, &asker{})
	body := transactional(t, 11, 7, 1, 0, partitions...).AppendTo(nil)
	r := &request.Request{Version: 11, Body: slices.Clone(body), To: &discard{}, Conn: &request.Conn{Listener: fixture.Listener}}
	again := func() { // the first time begins the transaction, the others are repetitions, which only are not written
		copy(r.Body, body)
		h.Handle(r)
	}
	again()
	if allocs := testing.AllocsPerRun(200, again); allocs > 50 { // the race detector takes things out of pools at random
		t.Errorf("%.1f allocations per request of 100 partitions", allocs)
	}
}
