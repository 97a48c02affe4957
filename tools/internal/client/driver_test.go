package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// TestDriver checks what is asked for again, and what the errors are of that which is not answered.
func TestDriver(t *testing.T) {
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	protocol := func(e *kerr.Error) error { return throwable.FromCode(e.Code, nil) }
	lookups, asked := 0, map[string]int{}
	d := driver[string]{admin: &Admin{client: cl, timeout: 350 * time.Millisecond}, name: "describe", lookupAPI: "FIND", askAPI: "TELL"}
	d.lookup = func(_ context.Context, call string, keys []string) (map[string]int32, map[string]error, error) {
		if call != "describe(api=FIND)" {
			t.Errorf("the call is %s", call)
		}
		lookups++
		brokers, failed := map[string]int32{}, map[string]error{}
		for _, k := range keys {
			switch k {
			case "forbidden":
				failed[k] = protocol(kerr.GroupAuthorizationFailed)
			case "nowhere":
			default:
				brokers[k] = int32(len(k) % 2)
			}
		}
		return brokers, failed, nil
	}
	d.ask = func(_ context.Context, _ *kgo.Broker, keys []string) (map[string]error, error) {
		answers := map[string]error{}
		for _, k := range keys {
			asked[k]++
			switch {
			case k == "loading" && asked[k] < 3, k == "stuck":
				answers[k] = protocol(kerr.CoordinatorLoadInProgress)
			case k == "lost" && asked[k] < 2:
				return nil, errors.New("connection lost")
			case k == "wrong":
				answers[k] = protocol(kerr.GroupIDNotFound)
			case k == "odd":
				answers[k] = throwable.New(throwable.IllegalArgument, "odd")
			}
		}
		return answers, nil
	}
	var failed map[string]error
	synctest.Test(t, func(t *testing.T) {
		failed = d.run(t.Context(), []string{"fine", "forbidden", "nowhere", "loading", "stuck", "lost", "wrong", "odd"})
	})
	want := map[string]string{
		"forbidden": "org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.",
		"nowhere":   "org.apache.kafka.common.errors.TimeoutException: Call(callName=describe(api=FIND), deadlineMs=",
		"stuck":     "org.apache.kafka.common.errors.TimeoutException: Call(callName=describe(api=TELL), deadlineMs=",
		"wrong":     "org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.",
		"odd":       "java.lang.IllegalArgumentException: odd",
	}
	for k, err := range failed {
		if !strings.HasPrefix(throwable.String(err), want[k]) || want[k] == "" {
			t.Errorf("%s failed with %s, want %s", k, throwable.String(err), want[k])
		}
		delete(want, k)
	}
	for k := range want {
		t.Errorf("%s did not fail", k)
	}
	if once := []string{"wrong", "odd"}; slices.ContainsFunc(once, func(k string) bool { return asked[k] != 1 }) || asked["loading"] != 3 || lookups != 4 {
		t.Errorf("asked %v after %d lookups", asked, lookups)
	}
}

// TestDriverUnreachable checks the error of a call that reached no broker.
func TestDriverUnreachable(t *testing.T) {
	d := driver[string]{admin: &Admin{}, name: "list", lookupAPI: "FIND"}
	d.lookup = func(ctx context.Context, _ string, _ []string) (map[string]int32, map[string]error, error) {
		return nil, nil, context.DeadlineExceeded
	}
	const want = "Timed out waiting for a node assignment. Call: list(api=FIND)"
	if failed := d.run(t.Context(), []string{"a"}); failed["a"] == nil || failed["a"].Error() != want {
		t.Errorf("got %v, want %s", failed, want)
	}
}
