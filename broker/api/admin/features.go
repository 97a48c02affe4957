package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// FeatureUpdate is a wish for the level of a feature of the cluster.
type FeatureUpdate struct {
	Feature string
	Level   int16
	Type    int8 // 1: upgrade, 2: safe downgrade, 3: unsafe downgrade
}

// FeatureUpdater is the controller as FeatureUpdates need it. Its errors are Kafka's, with their texts.
type FeatureUpdater interface {
	// UpdateFeatures returns an error for each update, with dry without doing it; or one for all. When it returns,
	// this broker knows what has changed.
	UpdateFeatures(ctx context.Context, updates []FeatureUpdate, dry bool) ([]error, error)
}

// FeatureUpdates serves UpdateFeatures. All fields are required.
type FeatureUpdates struct {
	Controller FeatureUpdater
	Context    context.Context // ends when the broker stops, and waiting with it
}

// Types of updates in version 0, which only says whether a downgrade is allowed.
const (
	featureUpgrade       int8 = 1
	featureSafeDowngrade int8 = 2
)

// UpdateFeatures changes the features of the cluster (KIP-584), versions 0 and 1. Of a feature that is named
// twice the first update counts, as with Kafka.
func (h *FeatureUpdates) UpdateFeatures(r *request.Request) {
	req := kmsg.NewPtrUpdateFeaturesRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	var updates []FeatureUpdate
	named := map[string]bool{}
	for _, u := range req.FeatureUpdates {
		if named[u.Feature] {
			continue
		}
		named[u.Feature] = true
		kind := u.UpgradeType
		if req.Version == 0 {
			if kind = featureUpgrade; u.AllowDowngrade {
				kind = featureSafeDowngrade
			}
		}
		updates = append(updates, FeatureUpdate{u.Feature, u.MaxVersionLevel, kind})
	}
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	errs, err := h.Controller.UpdateFeatures(h.Context, updates, req.ValidateOnly)
	resp.ErrorCode, resp.ErrorMessage = status.Code(err), status.Message(err)
	for i, err := range errs {
		out := kmsg.NewUpdateFeaturesResponseResult()
		out.Feature, out.ErrorCode, out.ErrorMessage = updates[i].Feature, status.Code(err), status.Message(err)
		if err == nil {
			out.ErrorMessage = kmsg.StringPtr("NONE") // Kafka's text of no error
		}
		resp.Results = append(resp.Results, out)
	}
	r.Reply(resp)
}
