package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

// elector elects 2, except for partition 7, which needs no election, and 9, which nobody can lead.
type elector struct {
	err     error
	asked   []topic.Partition
	unclean bool
	told    *metadata.Cache // hears of the new leaders unless nil
}

func (e *elector) Elect(_ context.Context, ps []topic.Partition, unclean bool) (leaders []int32, errs []error, err error) {
	e.asked, e.unclean = ps, unclean
	if e.err != nil {
		return nil, nil, e.err
	}
	leaders, errs = make([]int32, len(ps)), make([]error, len(ps))
	for i, p := range ps {
		switch p.Index {
		case 7:
			errs[i] = status.New(kerr.ElectionNotNeeded, "no need")
		case 9:
			errs[i] = status.New(kerr.PreferredLeaderNotAvailable, "nobody")
		default:
			leaders[i] = 2
		}
	}
	if e.told != nil {
		leadBy(e.told, 2)
	}
	return leaders, errs, nil
}

// leadBy makes leader lead partitions 0, 7 and 9 of a and 0 of b.
func leadBy(cache *metadata.Cache, leader int32) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	for name, indexes := range map[string][]int32{"a": {0, 7, 9}, "b": {0}} {
		t := kmsg.UpdateMetadataRequestTopicState{Topic: name}
		for _, i := range indexes {
			t.PartitionStates = append(t.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{Partition: i, Leader: leader})
		}
		req.TopicStates = append(req.TopicStates, t)
	}
	cache.Apply(req)
}

func elect(t *testing.T, e *elector, cache *metadata.Cache, change func(*kmsg.ElectLeadersRequest)) (top int16, answers string) {
	t.Helper()
	h := &Elections{Controller: e, Cluster: cache, Context: t.Context()}
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = 2, 10_000
	change(req)
	resp := kmsg.NewPtrElectLeadersResponse()
	fixture.Do(t, request.HandlerFunc(h.ElectLeaders), req, resp)
	var list []string
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			list = append(list, fmt.Sprintf("%s-%d %d %s", topic.Topic, p.Partition, p.ErrorCode, text(p.ErrorMessage)))
		}
	}
	slices.Sort(list)
	return resp.ErrorCode, strings.Join(list, ", ")
}

func named(topics ...kmsg.ElectLeadersRequestTopic) func(*kmsg.ElectLeadersRequest) {
	return func(r *kmsg.ElectLeadersRequest) { r.Topics = topics }
}

func of(name string, partitions ...int32) kmsg.ElectLeadersRequestTopic {
	return kmsg.ElectLeadersRequestTopic{Topic: name, Partitions: partitions}
}

func TestElectLeaders(t *testing.T) {
	cache := func() *metadata.Cache {
		c := &metadata.Cache{}
		leadBy(c, 1)
		return c
	}
	tests := []struct {
		name    string
		elector elector
		deaf    bool // this broker does not hear of the new leaders
		change  func(*kmsg.ElectLeadersRequest)
		top     int16
		want    string
	}{
		{name: "some", change: named(of("a", 0, 7), of("b", 0), of("a", 9, 0)),
			want: "a-0 0 <null>, a-7 84 no need, a-9 80 nobody, b-0 0 <null>"},
		{name: "all, of which those that need none are left out", change: func(r *kmsg.ElectLeadersRequest) { r.Topics = nil },
			want: "a-0 0 <null>, a-9 80 nobody, b-0 0 <null>"},
		{name: "none", change: named([]kmsg.ElectLeadersRequestTopic{}...), want: ""},
		{name: "nobody is elected", deaf: true, change: named(of("a", 7, 9)), want: "a-7 84 no need, a-9 80 nobody"},
		{name: "too late", deaf: true, change: func(r *kmsg.ElectLeadersRequest) {
			r.Topics, r.TimeoutMillis = []kmsg.ElectLeadersRequestTopic{of("a", 0, 7)}, 5
		}, want: "a-0 7 <null>, a-7 84 no need"},
		{name: "no time at all, but it is so already", change: func(r *kmsg.ElectLeadersRequest) {
			r.Topics, r.TimeoutMillis = []kmsg.ElectLeadersRequestTopic{of("a", 0)}, 0
		}, want: "a-0 0 <null>"},
		{name: "no time at all", deaf: true, change: func(r *kmsg.ElectLeadersRequest) {
			r.Topics, r.TimeoutMillis = []kmsg.ElectLeadersRequestTopic{of("a", 0)}, -1
		}, want: "a-0 7 <null>"},
		{name: "not the controller", elector: elector{err: kerr.NotController}, change: named(of("a", 0), of("c", 1)),
			want: "a-0 41 <null>, c-1 41 <null>"},
		{name: "a failure", elector: elector{err: errors.New("away")}, change: named(of("a", 0)), want: "a-0 -1 <null>"},
		{name: "no such election", change: func(r *kmsg.ElectLeadersRequest) {
			r.Topics, r.ElectionType = []kmsg.ElectLeadersRequestTopic{of("a", 0)}, 7
		}, top: -1, want: "a-0 -1 <null>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cache()
			if !tt.deaf {
				tt.elector.told = c
			}
			if top, got := elect(t, &tt.elector, c, tt.change); got != tt.want || top != tt.top {
				t.Errorf("answer %d, %s\nwant   %d, %s", top, got, tt.top, tt.want)
			}
		})
	}
}

func TestElectLeadersVersions(t *testing.T) {
	for version := int16(0); version <= 2; version++ {
		c := &metadata.Cache{}
		e := &elector{told: c}
		top, got := elect(t, e, c, func(r *kmsg.ElectLeadersRequest) {
			r.Version, r.ElectionType, r.Topics = version, 1, []kmsg.ElectLeadersRequestTopic{of("a", 0, 9)}
		})
		if top != 0 || got != "a-0 0 <null>, a-9 80 nobody" || e.unclean != (version > 0) {
			t.Errorf("v%d: answer %d, %s, unclean: %v", version, top, got, e.unclean)
		}
	}
}
