package client

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// retryPause is how long an Admin waits before it asks again after a retriable answer.
const retryPause = 100 * time.Millisecond

// driver asks about many things, partitions or groups, of which each is known to one broker, as Kafka's
// AdminApiDriver does: it looks up who knows what, asks each of those once, and begins anew with what was looked up
// or answered with an error that may pass.
type driver[K comparable] struct {
	admin             *Admin
	name              string // Kafka's name of the call, for messages
	lookupAPI, askAPI string // the requests of both steps, by Kafka's names

	// lookup returns the brokers that know keys, and the errors of keys that stand. Keys in neither are looked up again.
	lookup func(ctx context.Context, call string, keys []K) (brokers map[K]int32, failed map[K]error, err error)
	// ask sends one broker what is about keys. It returns the result of each key: nil, an error that stands, or a
	// retriable one.
	ask func(ctx context.Context, broker *kgo.Broker, keys []K) (map[K]error, error)
}

// run asks until all keys have an answer or time is up, and returns the errors of keys that failed.
func (d *driver[K]) run(ctx context.Context, keys []K) map[K]error {
	start, failed := time.Now(), map[K]error{}
	ctx, cancel := context.WithTimeout(ctx, d.admin.timeout)
	defer cancel()
	open, tries := slices.Clone(keys), 0
	last := map[K]string{} // the request that was made last for a key
	var unreachable error  // of the last attempt, if none has reached a broker
	reached := false
	for len(open) > 0 && (ctx.Err() == nil || tries == 0) {
		tries++
		var brokers map[K]int32
		brokers, unreachable = d.find(ctx, open, failed)
		reached = reached || unreachable == nil
		unknown := slices.DeleteFunc(slices.Clone(open), func(k K) bool { return known(brokers, failed, k) })
		again := d.askEach(ctx, brokers, open, failed)
		for _, k := range unknown {
			last[k] = d.lookupAPI
		}
		for _, k := range again {
			last[k] = d.askAPI
		}
		if open = append(unknown, again...); len(open) > 0 {
			wait(ctx, retryPause)
		}
	}
	for _, k := range open {
		if failed[k] = unreachable; reached {
			failed[k] = d.timedOut(last[k], start, tries)
		}
	}
	return failed
}

func known[K comparable](brokers map[K]int32, failed map[K]error, k K) bool {
	_, found := brokers[k]
	return found || failed[k] != nil
}

// find looks keys up. The error is that of having reached no broker at all.
func (d *driver[K]) find(ctx context.Context, keys []K, failed map[K]error) (map[K]int32, error) {
	call := d.name + "(api=" + d.lookupAPI + ")"
	brokers, errs, err := d.lookup(ctx, call, keys)
	maps.Copy(failed, errs)
	switch {
	case err == nil:
		return brokers, nil
	case throwable.Code(err) == 0:
		return nil, callError(call, err)
	}
	for _, k := range keys {
		failed[k] = err
	}
	return nil, nil
}

// askEach asks every broker once, in the order of their ids, and returns the keys to begin anew with.
func (d *driver[K]) askEach(ctx context.Context, brokers map[K]int32, keys []K, failed map[K]error) (again []K) {
	byBroker := map[int32][]K{}
	for _, k := range keys {
		if broker, found := brokers[k]; found {
			byBroker[broker] = append(byBroker[broker], k)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byBroker)) {
		asked := byBroker[id]
		answers, err := d.ask(ctx, d.admin.client.Broker(int(id)), asked)
		for _, k := range asked {
			answer := answers[k]
			if err != nil && answer == nil {
				answer = err
			}
			switch {
			case answer == nil:
			case passes(answer):
				again = append(again, k)
			default:
				failed[k] = answer
			}
		}
	}
	return again
}

// passes reports whether an answer may be another one later. What went wrong on the way may; what the client made
// of an answer does not.
func passes(err error) bool {
	if code := throwable.Code(err); code != 0 {
		return kerr.IsRetriable(kerr.ErrorForCode(code))
	}
	_, judged := err.(*throwable.Exception)
	return !judged
}

// timedOut is the error of a key without an answer.
func (d *driver[K]) timedOut(api string, start time.Time, tries int) error {
	now := time.Now()
	return throwable.Newf(throwable.Timeout, "Call(callName=%s(api=%s), deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) "+
		"timed out at %d after %d attempt(s)", d.name, api, start.Add(d.admin.timeout).UnixMilli(), tries,
		now.Add(retryPause).UnixMilli(), now.UnixMilli(), tries)
}
