package client

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Resource is what has a configuration: a topic, a broker, the loggers of one, and so on.
type Resource struct {
	Type kmsg.ConfigResourceType
	Name string // "" for the brokers' common defaults
}

// Setting is a change of one property; a nil value takes it away.
type Setting struct {
	Name  string
	Value *string
}

// Change are the settings of one resource.
type Change struct {
	Resource Resource
	Settings []Setting
}

// broker returns the broker that must be asked about the resource, and whether it must be a certain one.
func (r Resource) broker() (id int32, certain bool) {
	if r.Type != kmsg.ConfigResourceTypeBroker && r.Type != kmsg.ConfigResourceTypeBrokerLogger {
		return 0, false
	}
	n, err := strconv.ParseInt(r.Name, 10, 32)
	return int32(n), err == nil
}

// CallResource is Call for a request that is about a resource.
func (a *Admin) CallResource(ctx context.Context, name string, r Resource, req kmsg.Request) (kmsg.Response, error) {
	if id, certain := r.broker(); certain && !a.controllers {
		return a.CallBroker(ctx, name, id, req)
	}
	return a.Call(ctx, name, req)
}

// Alter changes settings of resources (IncrementalAlterConfigs). Brokers are asked about themselves, all at
// once, and everything else in one request. The error is the first by the order of changes.
func (a *Admin) Alter(ctx context.Context, changes []Change) error {
	var requests [][]Change
	var others []Change
	for _, c := range changes {
		if _, certain := c.Resource.broker(); certain {
			requests = append(requests, []Change{c})
		} else {
			others = append(others, c)
		}
	}
	if others != nil {
		requests = append(requests, others)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(requests))
	for i, request := range requests {
		wg.Go(func() { errs[i] = a.alter(ctx, request) })
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

func (a *Admin) alter(ctx context.Context, changes []Change) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, c := range changes {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = c.Resource.Type, c.Resource.Name
		for _, s := range c.Settings {
			config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			config.Name, config.Value, config.Op = s.Name, s.Value, kmsg.IncrementalAlterConfigOpSet
			if s.Value == nil {
				config.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			r.Configs = append(r.Configs, config)
		}
		req.Resources = append(req.Resources, r)
	}
	resp, err := a.CallResource(ctx, "incrementalAlterConfigs", changes[0].Resource, req)
	if err != nil {
		return err
	}
	for _, r := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := throwable.FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// Describe returns the configuration of a resource, with synonyms of each property on request.
func (a *Admin) Describe(ctx context.Context, r Resource, synonyms bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = r.Type, r.Name
	req.Resources = append(req.Resources, resource)
	resp, err := a.CallResource(ctx, "describeConfigs", r, req)
	if err != nil {
		return nil, err
	}
	described := resp.(*kmsg.DescribeConfigsResponse).Resources
	if len(described) == 0 {
		return nil, nil
	}
	return described[0].Configs, throwable.FromCode(described[0].ErrorCode, described[0].ErrorMessage)
}
