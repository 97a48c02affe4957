package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// retryPause is how long an Admin waits before it asks again after a retriable answer.
const retryPause = 100 * time.Millisecond

// Admin asks a cluster what Kafka's AdminClient asks. Each call ends within default.api.timeout.ms.
type Admin struct {
	client  *kgo.Client
	timeout time.Duration
	backoff func(failed int) time.Duration
}

// NewAdmin returns an Admin for the cluster at bootstrap, configured from a file ("" for none).
func NewAdmin(env *tool.Env, bootstrap, file, clientID string) (*Admin, error) {
	properties, err := clientconf.LoadFile(file)
	if err != nil {
		return nil, err
	}
	properties["bootstrap.servers"] = bootstrap
	if clientID != "" {
		properties["client.id"] = clientID
	} else if properties["client.id"] == "" {
		properties["client.id"] = "adminclient-1"
	}
	config, err := clientconf.New(clientconf.Admin, properties)
	if err != nil {
		return nil, err
	}
	timeout := config.Millis("default.api.timeout.ms")
	cl, err := New(env, config, kgo.RequestRetries(math.MaxInt32), kgo.RetryTimeout(timeout))
	if err != nil {
		return nil, err
	}
	return &Admin{client: cl, timeout: timeout, backoff: backoff(config)}, nil
}

// Close closes the connections.
func (a *Admin) Close() { a.client.Close() }

// Call sends req to the broker that answers it and returns the response. name is Kafka's name of the
// call, for the message when time is up.
func (a *Admin) Call(ctx context.Context, name string, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	for failed := 1; ; failed++ {
		resp, err := a.client.Request(ctx, req)
		if err == nil {
			return resp, nil
		}
		if throwable.Code(err) != 0 || ctx.Err() != nil {
			return nil, callError(name, err)
		}
		if a.lacks(ctx, req) {
			message := "The broker does not support " + kmsg.NameForKey(req.Key())
			return nil, throwable.FromCode(kerr.UnsupportedVersion.Code, &message)
		}
		wait(ctx, a.backoff(failed)) // no broker could be reached
	}
}

// lacks reports whether the cluster answers but does not know req, which the client library refuses to send.
func (a *Admin) lacks(ctx context.Context, req kmsg.Request) bool {
	resp, err := a.client.Request(ctx, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return false
	}
	known := func(key kmsg.ApiVersionsResponseApiKey) bool { return key.ApiKey == req.Key() }
	return !slices.ContainsFunc(resp.(*kmsg.ApiVersionsResponse).ApiKeys, known)
}

// callError names what went wrong; it is a time-out unless the broker said something else.
func callError(name string, err error) error {
	switch {
	case throwable.Code(err) != 0:
		return err
	case errors.Is(err, context.Canceled):
		return err
	}
	return &throwable.Exception{Class: throwable.Timeout,
		Message: "Timed out waiting for a node assignment. Call: " + name}
}

// Metadata returns the cluster's brokers and the topics of req.
func (a *Admin) Metadata(ctx context.Context, name string, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	resp, err := a.Call(ctx, name, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.MetadataResponse), nil
}

// Ask sends the part of a request that is about partitions to their leader. It returns the result of each
// partition: nil, an error that stands, or a retriable one, after which the partition is asked for anew.
type Ask func(ctx context.Context, leader *kgo.Broker, partitions []topic.Partition) (map[topic.Partition]error, error)

// EachLeader asks the leader of each partition, and asks again those that are not there yet, until all
// have answered or time is up. It returns the errors of partitions that failed.
func (a *Admin) EachLeader(ctx context.Context, name string, partitions []topic.Partition, ask Ask) map[topic.Partition]error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	failed, open, tries := map[topic.Partition]error{}, slices.Clone(partitions), 0
	for len(open) > 0 && ctx.Err() == nil {
		tries++
		open = a.askOnce(ctx, name, open, ask, failed)
		if len(open) > 0 {
			wait(ctx, retryPause)
		}
	}
	now := time.Now()
	for _, p := range open {
		failed[p] = throwable.Newf(throwable.Timeout, "Call(callName=%s(api=METADATA), deadlineMs=%d, tries=%d, "+
			"nextAllowedTryMs=%d) timed out at %d after %d attempt(s)", name, start.Add(a.timeout).UnixMilli(),
			tries, now.Add(retryPause).UnixMilli(), now.UnixMilli(), tries)
	}
	return failed
}

// askOnce asks every leader once and returns the partitions to ask for again.
func (a *Admin) askOnce(ctx context.Context, name string, partitions []topic.Partition, ask Ask,
	failed map[topic.Partition]error) (again []topic.Partition) {
	leaders, err := a.leaders(ctx, name, partitions)
	if err != nil {
		return partitions
	}
	byLeader := map[int32][]topic.Partition{}
	for _, p := range partitions {
		leader, known := leaders[p]
		if !known {
			again = append(again, p)
			continue
		}
		byLeader[leader] = append(byLeader[leader], p)
	}
	for _, leader := range slices.Sorted(maps.Keys(byLeader)) {
		asked := byLeader[leader]
		answers, err := ask(ctx, a.client.Broker(int(leader)), asked)
		for _, p := range asked {
			answer := answers[p]
			if err != nil && answer == nil {
				answer = err
			}
			switch {
			case answer == nil:
			case throwable.Code(answer) == 0 || kerr.IsRetriable(kerr.ErrorForCode(throwable.Code(answer))):
				again = append(again, p)
			default:
				failed[p] = answer
			}
		}
	}
	return again
}

// leaders returns the leaders of those partitions that have one.
func (a *Admin) leaders(ctx context.Context, name string, partitions []topic.Partition) (map[topic.Partition]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	seen := map[string]bool{}
	for _, p := range partitions {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(p.Topic)
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := a.Metadata(ctx, name, req)
	if err != nil {
		return nil, fmt.Errorf("find leaders: %w", err)
	}
	leaders := map[topic.Partition]int32{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.Leader >= 0 && t.Topic != nil {
				leaders[topic.Partition{Topic: *t.Topic, Index: p.Partition}] = p.Leader
			}
		}
	}
	return leaders, nil
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
