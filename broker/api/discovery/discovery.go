// Package discovery serves the APIs by which clients find their way: ApiVersions, Metadata,
// DescribeCluster, FindCoordinator.
package discovery

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Handlers serve the APIs of the package. All fields but Routes are required; Routes is set before
// the first request, once the table of routes is complete.
type Handlers struct {
	ClusterID  string
	Cluster    *metadata.Cache
	AutoCreate AutoCreator // nil: auto.create.topics.enable is false
	Features   func() Features
	Routes     []request.Route // what ApiVersions lists
	// GroupPartition returns the partition of __consumer_offsets that a group belongs to.
	GroupPartition func(group string) int32
	// TransactionPartition returns the partition of __transaction_state that a transactional id belongs to.
	TransactionPartition func(transactionalID string) int32
	// Internal creates the brokers' own topics, whatever AutoCreate is.
	Internal AutoCreator
}

// AutoCreator creates topics that clients ask for by name (Kafka's AutoTopicCreationManager).
type AutoCreator interface {
	// Create begins the creation of topics and returns, for each of names, the code that Metadata
	// answers meanwhile: LEADER_NOT_AVAILABLE, or why it cannot be created.
	Create(names []string) []int16
}

// Features are the cluster's finalized features (KIP-584), from the /feature znode.
type Features struct {
	Epoch  int64 // version of the znode; -1: none
	Levels map[string]int16
}

// The two bounds that a client's software name and version satisfy (KIP-511).
var software = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// latestAPIVersions is the newest version of ApiVersions; a newer request is answered in version 0,
// which every client can read, so that it can ask again.
const latestAPIVersions = 4

// APIVersions lists what this broker serves. It takes requests of any version.
func (h *Handlers) APIVersions(r *request.Request) {
	resp := kmsg.NewPtrApiVersionsResponse()
	if r.Version < 0 || r.Version > latestAPIVersions {
		resp.ErrorCode = kerr.UnsupportedVersion.Code
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: r.Key, MinVersion: 0, MaxVersion: latestAPIVersions}}
		r.Reply(resp)
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp.SetVersion(r.Version)
	if r.Version >= 3 && !(software.MatchString(req.ClientSoftwareName) && software.MatchString(req.ClientSoftwareVersion)) {
		resp.ErrorCode = kerr.InvalidRequest.Code
		r.Reply(resp)
		return
	}
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, 0, len(h.Routes))
	for i := range h.Routes {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = h.Routes[i].Key, h.Routes[i].Min, h.Routes[i].Max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	features := h.Features()
	resp.FinalizedFeaturesEpoch = features.Epoch
	for name, level := range features.Levels {
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MaxVersionLevel, f.MinVersionLevel = name, level, level
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	}
	r.Reply(resp)
}

// node is a live broker as a client on one listener sees it.
type node struct {
	id   int32
	host string
	port int32
	rack *string
}

// nodes lists the live brokers that have listener, by id.
func nodes(s *metadata.Snapshot, listener string) []node {
	list := make([]node, 0, len(s.Brokers))
	for id, b := range s.Brokers {
		if at, ok := b.Endpoint(listener); ok {
			n := node{id: id, host: at.Host, port: at.Port}
			if b.Rack != "" {
				n.rack = &b.Rack
			}
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b node) int { return cmp.Compare(a.id, b.id) })
	return list
}

// Endpoint types of DescribeCluster (KIP-919).
const (
	brokerEndpoints     = 1
	controllerEndpoints = 2
)

// DescribeCluster lists the brokers (KIP-700), versions 0 and 1.
func (h *Handlers) DescribeCluster(r *request.Request) {
	req := kmsg.NewPtrDescribeClusterRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ControllerID = -1
	switch {
	case req.Version == 0 || req.EndpointType == brokerEndpoints:
	case req.EndpointType == controllerEndpoints:
		resp.ErrorCode = kerr.MismatchedEndpointType.Code
		resp.ErrorMessage = kmsg.StringPtr("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
	default:
		resp.ErrorCode = kerr.UnsupportedEndpointType.Code
		resp.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType))
	}
	if resp.ErrorCode != 0 {
		r.Reply(resp)
		return
	}
	s := h.Cluster.Load()
	resp.ClusterID = h.ClusterID
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	for _, n := range nodes(s, r.Conn.Listener) {
		if n.id == s.ControllerID {
			resp.ControllerID = n.id
		}
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = n.id, n.host, n.port, n.rack
		resp.Brokers = append(resp.Brokers, b)
	}
	r.Reply(resp)
}

// Sets of operations, 1<<code each, that an unauthenticated client of a broker without an
// authorizer may do (AclEntry.supportedOperations).
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

// Coordinator types of FindCoordinator.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
	shareCoordinator       = 2 // KIP-932
)

// Texts that Kafka gives with codes before version 4 (Errors.java).
const (
	noErrorText        = "NONE"
	notAvailableText   = "The coordinator is not available."
	batchedCoordinator = 4 // version since which there are several keys
)

// FindCoordinator names the broker that coordinates each group or transactional id, versions 0 to 6. The topic
// __consumer_offsets is created when the first client asks; __transaction_state only by brokers that coordinate
// transactions.
func (h *Handlers) FindCoordinator(r *request.Request) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.Version < batchedCoordinator || len(req.CoordinatorKeys) > 0
	if req.CoordinatorType == groupCoordinator && keys && h.Cluster.Load().Topic(topic.ConsumerOffsets) == nil {
		h.Internal.Create([]string{topic.ConsumerOffsets})
	}
	if req.Version < batchedCoordinator {
		code, n := h.coordinator(r, req.CoordinatorType, req.CoordinatorKey)
		message := noErrorText
		switch code {
		case kerr.CoordinatorNotAvailable.Code:
			message = notAvailableText
		case kerr.InvalidRequest.Code:
			message = status.InvalidRequestText
		}
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = code, &message, n.id, n.host, n.port
		r.Reply(resp)
		return
	}
	for _, key := range req.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		code, n := h.coordinator(r, req.CoordinatorType, key)
		message := ""
		if code == kerr.InvalidRequest.Code && req.CoordinatorType != shareCoordinator { // which is only too new for the version
			message = status.InvalidRequestText
		}
		c.Key, c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port = key, code, &message, n.id, n.host, n.port
		resp.Coordinators = append(resp.Coordinators, c)
	}
	r.Reply(resp)
}

// coordinator returns the broker that coordinates key, as the client sees it: the leader of a partition of
// __consumer_offsets or __transaction_state, which has to be there.
func (h *Handlers) coordinator(r *request.Request, kind int8, key string) (int16, node) {
	none := node{id: -1, port: -1}
	s := h.Cluster.Load()
	at := topic.Partition{}
	switch {
	case kind < groupCoordinator || kind > shareCoordinator:
		return kerr.InvalidRequest.Code, none
	case kind == shareCoordinator && r.Version < 6:
		return kerr.InvalidRequest.Code, none
	case kind == shareCoordinator:
		return kerr.CoordinatorNotAvailable.Code, none
	case kind == transactionCoordinator:
		at = topic.Partition{Topic: topic.TransactionState, Index: h.TransactionPartition(key)}
	case s.Topic(topic.ConsumerOffsets) == nil:
		return kerr.CoordinatorNotAvailable.Code, none
	default:
		at = topic.Partition{Topic: topic.ConsumerOffsets, Index: h.GroupPartition(key)}
	}
	p := s.Partition(at)
	if p == nil {
		return kerr.CoordinatorNotAvailable.Code, none
	}
	e, ok := s.Endpoint(p.Leader, r.Conn.Listener)
	if !ok {
		return kerr.CoordinatorNotAvailable.Code, none
	}
	return 0, node{id: p.Leader, host: e.Host, port: e.Port}
}
