package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/admin"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller"
)

// governor is the controller for administrators' requests, with Kafka's errors.
type governor struct{ server *Server }

// Elect implements admin.Elector.
func (g governor) Elect(ctx context.Context, ps []topic.Partition, unclean bool) ([]int32, []error, error) {
	kind := controller.Preferred
	if unclean {
		kind = controller.Unclean
	}
	outcomes, err := g.server.controller.ElectLeaders(ctx, ps, kind)
	if errors.Is(err, controller.ErrNotActive) {
		err = kerr.NotController
	}
	leaders, errs := make([]int32, len(outcomes)), make([]error, len(outcomes))
	for i, o := range outcomes {
		leaders[i] = o.Leader
		if o.Err != nil {
			errs[i] = status.New(o.Err, o.Message)
		}
	}
	return leaders, errs, err
}

// UpdateFeatures implements admin.FeatureUpdater.
func (g governor) UpdateFeatures(ctx context.Context, updates []admin.FeatureUpdate, dry bool) ([]error, error) {
	wishes := make([]controller.FeatureUpdate, len(updates))
	for i, u := range updates {
		wishes[i] = controller.FeatureUpdate{Feature: u.Feature, Level: u.Level, Type: controller.UpgradeType(u.Type)}
	}
	results, err := g.server.controller.UpdateFeatures(ctx, wishes, dry)
	if errors.Is(err, controller.ErrNotActive) {
		err = status.New(kerr.NotController, "This is not the correct controller for this cluster.")
	}
	errs := make([]error, len(results))
	for i, r := range results {
		if r.Err != nil {
			errs[i] = status.New(r.Err, r.Message)
		}
	}
	g.server.features.read(ctx)
	return errs, err
}

var (
	_ admin.Elector        = governor{}
	_ admin.FeatureUpdater = governor{}
)
