package admin

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
)

// updater deletes features, and does nothing else.
type updater struct {
	err     error
	updates []FeatureUpdate
	dry     bool
}

func (u *updater) UpdateFeatures(_ context.Context, updates []FeatureUpdate, dry bool) ([]error, error) {
	u.updates, u.dry = updates, dry
	if u.err != nil {
		return nil, u.err
	}
	errs := make([]error, len(updates))
	for i, f := range updates {
		if f.Level > 0 {
			errs[i] = status.New(kerr.InvalidRequest, "no")
		}
	}
	return errs, nil
}

func TestUpdateFeatures(t *testing.T) {
	for version := int16(0); version <= 1; version++ {
		u := &updater{}
		h := &FeatureUpdates{Controller: u, Context: t.Context()}
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version, req.ValidateOnly = version, true
		for _, f := range []struct {
			name      string
			level     int16
			downgrade bool
			kind      int8
		}{{"a", 0, true, 3}, {"b", 2, false, 1}, {"a", 5, false, 2}} {
			req.FeatureUpdates = append(req.FeatureUpdates, kmsg.UpdateFeaturesRequestFeatureUpdate{
				Feature: f.name, MaxVersionLevel: f.level, AllowDowngrade: f.downgrade, UpgradeType: f.kind})
		}
		send := func() *kmsg.UpdateFeaturesResponse {
			resp := kmsg.NewPtrUpdateFeaturesResponse()
			fixture.Do(t, request.HandlerFunc(h.UpdateFeatures), req, resp)
			return resp
		}
		resp := send()
		want := []FeatureUpdate{{"a", 0, 3}, {"b", 2, 1}}
		if version == 0 {
			want[0].Type = featureSafeDowngrade
		}
		if !slices.Equal(u.updates, want) || u.dry != (version > 0) {
			t.Errorf("v%d: asked for %+v, dry %v; want %+v", version, u.updates, u.dry, want)
		}
		if len(resp.Results) != 2 || resp.ErrorCode != 0 || resp.ErrorMessage != nil {
			t.Fatalf("v%d: %+v", version, resp)
		}
		if a, b := resp.Results[0], resp.Results[1]; a.Feature != "a" || a.ErrorCode != 0 || text(a.ErrorMessage) != "NONE" ||
			b.Feature != "b" || b.ErrorCode != 42 || text(b.ErrorMessage) != "no" {
			t.Errorf("v%d: %+v", version, resp.Results)
		}
		u.err = status.New(kerr.NotController, "another")
		if resp = send(); resp.ErrorCode != 41 || text(resp.ErrorMessage) != "another" || len(resp.Results) != 0 {
			t.Errorf("v%d, not the controller: %+v", version, resp)
		}
	}
}
