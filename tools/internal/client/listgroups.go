package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Listing is a group in a list.
type Listing struct {
	Group       string
	State, Type string // "" if the broker does not say
}

// ListGroups returns the consumer groups of all brokers that are in one of states and of one of types, nil for
// any, in the order of a Java HashMap.
func (a *Admin) ListGroups(ctx context.Context, states, types []string) ([]Listing, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none
	metadata, err := a.Metadata(ctx, "findAllBrokers", req)
	if err != nil {
		return nil, &throwable.Exception{Class: throwable.Kafka, Message: "Failed to find brokers to send ListGroups", Cause: throwable.From(err)}
	}
	lists, errs := make([][]Listing, len(metadata.Brokers)), make([]error, len(metadata.Brokers))
	var wg sync.WaitGroup
	for i, b := range metadata.Brokers {
		wg.Go(func() { lists[i], errs[i] = a.listGroups(ctx, b, states, types) })
	}
	wg.Wait()
	var listings []Listing
	seen := map[string]bool{}
	for i, list := range lists {
		if errs[i] != nil {
			return nil, errs[i]
		}
		for _, l := range list {
			if !seen[l.Group] {
				seen[l.Group] = true
				listings = append(listings, l)
			}
		}
	}
	javamap.Sort(listings, -1, func(l Listing) int32 { return javamap.HashString(l.Group) })
	return listings, nil
}

// listGroups returns the consumer groups of one broker, once it has loaded them.
func (a *Admin) listGroups(ctx context.Context, b kmsg.MetadataResponseBroker, states, types []string) ([]Listing, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	for {
		answer, err := a.CallBroker(ctx, "listConsumerGroups", b.NodeID, req)
		if err == nil {
			err = throwable.FromCode(answer.(*kmsg.ListGroupsResponse).ErrorCode, nil)
		}
		code := throwable.Code(err)
		loading := code == kerr.CoordinatorLoadInProgress.Code || code == kerr.CoordinatorNotAvailable.Code
		switch {
		case err == nil:
			return consumerGroups(answer.(*kmsg.ListGroupsResponse)), nil
		case loading && limited.Err() == nil:
			wait(limited, retryPause)
		default:
			failure := *throwable.From(err)
			failure.Message = fmt.Sprintf("Error listing groups on %s:%d (id: %d rack: %s): %s", b.Host, b.Port, b.NodeID, rack(b), failure.Message)
			return nil, &failure
		}
	}
}

func rack(b kmsg.MetadataResponseBroker) string {
	if b.Rack == nil {
		return "null"
	}
	return *b.Rack
}

func consumerGroups(resp *kmsg.ListGroupsResponse) []Listing {
	var listings []Listing
	for _, g := range resp.Groups {
		if g.ProtocolType == "" || g.ProtocolType == consumerProtocol {
			listings = append(listings, Listing{Group: g.Group, State: g.GroupState, Type: g.GroupType})
		}
	}
	return listings
}
