package client

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/apikeys"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// Admin asks a cluster what Kafka's AdminClient asks. Each call ends within default.api.timeout.ms.
type Admin struct {
	client  *kgo.Client
	timeout time.Duration // default.api.timeout.ms
	request time.Duration // request.timeout.ms
	backoff func(failed int) time.Duration

	env         *tool.Env
	logContext  string
	controllers bool // it talks to the controllers of a cluster with KRaft, not to its brokers
}

// NewAdmin returns an Admin for the cluster at bootstrap, configured from the file that the option configFile names. clientID
// overrides the file's client.id; "" does not.
func NewAdmin(env *tool.Env, bootstrap string, options *jopt.Set, configFile, clientID string) (*Admin, error) {
	properties, err := clientconf.LoadOption(options, configFile)
	if err != nil {
		return nil, err
	}
	properties["bootstrap.servers"] = bootstrap
	if clientID != "" {
		properties["client.id"] = clientID
	}
	return OpenAdmin(env, properties)
}

// NewAdminWith is NewAdmin with properties that are set unless the file sets them.
func NewAdminWith(env *tool.Env, bootstrap, file string, unlessSet clientconf.Properties) (*Admin, error) {
	properties := maps.Clone(unlessSet)
	loaded, err := clientconf.LoadFile(file)
	if err != nil {
		return nil, err
	}
	properties.Merge(loaded)
	properties["bootstrap.servers"] = bootstrap
	return OpenAdmin(env, properties)
}

// OpenAdmin returns an Admin with the given configuration.
func OpenAdmin(env *tool.Env, properties clientconf.Properties) (*Admin, error) {
	if properties["client.id"] == "" {
		properties["client.id"] = "adminclient-1"
	}
	config, err := clientconf.New(clientconf.Admin, properties)
	if err != nil {
		return nil, err
	}
	LogWarnings(env, config)
	timeout := config.Millis("default.api.timeout.ms")
	cl, err := New(env, config, kgo.RequestRetries(math.MaxInt32), kgo.RetryTimeout(timeout))
	if err != nil {
		return nil, err
	}
	return &Admin{client: cl, timeout: timeout, request: config.Millis("request.timeout.ms"), backoff: backoff(config),
		env: env, logContext: LogContext(config), controllers: len(config.List("bootstrap.controllers")) > 0}, nil
}

// Close closes the connections.
func (a *Admin) Close() { a.client.Close() }

// WithTimeout returns the same Admin with another time for its calls, which share its connections. Only the first
// needs to be closed.
func (a *Admin) WithTimeout(timeout time.Duration) *Admin {
	other := *a
	other.timeout = timeout
	return &other
}

// TimeoutMillis returns what a request tells the broker of how long it may take: the shorter of the time for
// a request and the time for a call.
func (a *Admin) TimeoutMillis() int32 { return int32(min(a.request, a.timeout).Milliseconds()) }

// Call sends req to the broker that answers it and returns the response. name is Kafka's name of the
// call, for the message when time is up.
func (a *Admin) Call(ctx context.Context, name string, req kmsg.Request) (kmsg.Response, error) {
	return a.call(ctx, name, req, a.client.Request)
}

// CallBroker is Call for a broker by its id.
func (a *Admin) CallBroker(ctx context.Context, name string, id int32, req kmsg.Request) (kmsg.Response, error) {
	return a.call(ctx, name, req, a.client.Broker(int(id)).RetriableRequest)
}

func (a *Admin) call(ctx context.Context, name string, req kmsg.Request,
	send func(context.Context, kmsg.Request) (kmsg.Response, error)) (kmsg.Response, error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if a.controllers {
		if !forControllers[name] {
			return nil, throwable.FromCode(kerr.UnsupportedEndpointType.Code, kmsg.StringPtr("This Admin API is not yet "+
				"supported when communicating directly with the controller quorum."))
		}
		send = a.sendController
	}
	for failed := 1; ; failed++ {
		resp, err := kmsg.Response(nil), ctx.Err()
		if err == nil { // else there is not even the time to connect
			resp, err = send(ctx, req)
		}
		switch {
		case err == nil:
			return resp, nil
		case errors.Is(caller.Err(), context.DeadlineExceeded):
			return nil, throwable.New(throwable.FutureTimeout, "") // the tool waits no longer than that
		case throwable.Code(err) != 0 || ctx.Err() != nil:
			return nil, callError(name, err)
		case a.lacks(ctx, req):
			message := "The node does not support " + apikeys.Constant(req.Key())
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

// forControllers are the calls that Kafka's clients make of controllers (KIP-919).
var forControllers = map[string]bool{"listNodes": true, "describeConfigs": true, "alterConfigs": true, "incrementalAlterConfigs": true}

// controllerCluster is Cluster for a cluster that is known by its controllers.
func (a *Admin) controllerCluster(ctx context.Context) (id string, brokers []kmsg.MetadataResponseBroker, err error) {
	resp, err := a.Call(ctx, "listNodes", newDescribeControllers())
	if err != nil {
		return "", nil, err
	}
	described := resp.(*kmsg.DescribeClusterResponse)
	for _, b := range described.Brokers {
		brokers = append(brokers, kmsg.MetadataResponseBroker{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return described.ClusterID, brokers, nil
}

func newDescribeControllers() *kmsg.DescribeClusterRequest {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 2 // controllers
	return req
}

// sendController sends req to the first controller, once it has said that it is one. A broker, and so every
// process of a cluster on ZooKeeper, says that it is none.
func (a *Admin) sendController(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	controller := a.client.SeedBrokers()[0]
	resp, err := controller.RetriableRequest(ctx, newDescribeControllers())
	if err != nil {
		return nil, err
	}
	described := resp.(*kmsg.DescribeClusterResponse)
	if err := throwable.FromCode(described.ErrorCode, described.ErrorMessage); err != nil {
		a.env.LogWarning("org.apache.kafka.clients.admin.internals.AdminMetadataManager",
			a.logContext+"Metadata update failed due to mismatched endpoint type error", err)
		return nil, err
	}
	return controller.RetriableRequest(ctx, req)
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

// Cluster returns the cluster's id, "" if there is none, and its brokers by id.
func (a *Admin) Cluster(ctx context.Context) (id string, brokers []kmsg.MetadataResponseBroker, err error) {
	if a.controllers {
		return a.controllerCluster(ctx)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none
	resp, err := a.Metadata(ctx, "listNodes", req)
	if err != nil {
		return "", nil, err
	}
	if resp.ClusterID != nil {
		id = *resp.ClusterID
	}
	slices.SortFunc(resp.Brokers, func(a, b kmsg.MetadataResponseBroker) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return id, resp.Brokers, nil
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
