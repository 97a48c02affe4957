package client

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Node is a broker.
type Node struct {
	ID   int32
	Host string
	Port int32
}

// askGroups sends one broker what is about groups that it coordinates. It returns the result of each group: nil,
// an error that stands, or a retriable one.
type askGroups func(ctx context.Context, coordinator *kgo.Broker, groups []string) (map[string]error, error)

// eachCoordinator asks the coordinator of each group, and asks again what is being loaded or has moved, until all
// have answered or time is up. It returns the coordinators and the errors of groups that failed.
func (a *Admin) eachCoordinator(ctx context.Context, name, api string, groups []string, ask askGroups) (map[string]Node, map[string]error) {
	nodes := map[string]Node{}
	d := driver[string]{admin: a, name: name, lookupAPI: "FIND_COORDINATOR", askAPI: api, ask: ask}
	d.lookup = func(ctx context.Context, call string, open []string) (map[string]int32, map[string]error, error) {
		return a.coordinators(ctx, call, open, nodes)
	}
	failed := d.run(ctx, groups)
	return nodes, failed
}

// coordinators returns the coordinators of groups and puts them into nodes, and the errors of groups that will
// have none.
func (a *Admin) coordinators(ctx context.Context, call string, groups []string, nodes map[string]Node) (
	map[string]int32, map[string]error, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = groups
	resp, err := a.Call(ctx, call, req)
	if err != nil {
		return nil, nil, err
	}
	brokers, failed := map[string]int32{}, map[string]error{}
	for _, c := range resp.(*kmsg.FindCoordinatorResponse).Coordinators {
		switch c.ErrorCode {
		case 0:
			brokers[c.Key], nodes[c.Key] = c.NodeID, Node{c.NodeID, c.Host, c.Port}
		case kerr.CoordinatorNotAvailable.Code, kerr.CoordinatorLoadInProgress.Code:
		case kerr.GroupAuthorizationFailed.Code:
			failed[c.Key] = lookupFailure(c, "FindCoordinator request for groupId `%s` failed due to authorization failure")
		default:
			failed[c.Key] = lookupFailure(c, "FindCoordinator request for key `%s` failed due to an unexpected error")
		}
	}
	return brokers, failed, nil
}

func lookupFailure(c kmsg.FindCoordinatorResponseCoordinator, format string) error {
	message := fmt.Sprintf(format, "CoordinatorKey(idValue='"+c.Key+"', type=GROUP)")
	return throwable.FromCode(c.ErrorCode, &message)
}
