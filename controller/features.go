package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/zkutil"
)

// Features of the cluster as a whole stand in /feature (KIP-584). No ZooKeeper-based broker supports any, so
// that in practice there are none: what can be done to them is to delete those that somebody has left
// there.

// enableFeatures makes /feature say that features are versioned (KIP-584). No ZooKeeper-based broker has
// any, so that what stands there, if enabled, stays.
func (c *Controller) enableFeatures(ctx context.Context) error {
	zk := c.opts.ZK
	data, _, err := zk.Get(ctx, zkutil.FeaturePath)
	if errors.Is(err, zkutil.ErrNoNode) {
		_, err = zk.Create(ctx, zkutil.FeaturePath, (&zkutil.Features{Enabled: true}).Encode(), zkutil.Persistent)
		return err
	}
	if err != nil {
		return err
	}
	features, err := zkutil.DecodeFeatures(data)
	if err != nil {
		return err
	}
	if features.Enabled && features.Version == zkutil.FeatureVersion {
		return nil
	}
	if !features.Enabled {
		features.Levels = nil
	}
	features.Enabled, features.Version = true, zkutil.FeatureVersion
	_, err = zk.Set(ctx, zkutil.FeaturePath, features.Encode(), zkutil.AnyVersion)
	return err
}

// UpgradeType says in which direction a feature may change (FeatureUpdate.UpgradeType). The values are
// Kafka's.
type UpgradeType int8

const (
	Upgrade         UpgradeType = 1
	SafeDowngrade   UpgradeType = 2
	UnsafeDowngrade UpgradeType = 3
)

// FeatureUpdate is a wish for the level of a feature; a level below 1 deletes it.
type FeatureUpdate struct {
	Feature string
	Level   int16
	Type    UpgradeType
}

// FeatureResult is what came of a FeatureUpdate; a nil Err means that it is done.
type FeatureResult struct {
	Err     *kerr.Error
	Message string
}

// UpdateFeatures changes the levels of features (KafkaController.processFeatureUpdates), those that can be
// changed, together, or with dry none. It returns the outcomes in the order of updates.
//
// Errors: ErrNotActive, ctx's, or what kept the controller from trying.
func (c *Controller) UpdateFeatures(ctx context.Context, updates []FeatureUpdate, dry bool) ([]FeatureResult, error) {
	return askFor(ctx, c, "UpdateFeatures", func(ctx context.Context, core *core) ([]FeatureResult, error) {
		return core.updateFeatures(ctx, updates, dry)
	})
}

func (c *core) updateFeatures(ctx context.Context, updates []FeatureUpdate, dry bool) ([]FeatureResult, error) {
	nodes, err := c.zk.Get(ctx, false, zkutil.FeaturePath)
	if err != nil {
		return nil, err
	}
	node := &zkutil.Features{Enabled: true}
	version := nodes[0].stat.Version
	if nodes[0].err == nil {
		if node, err = zkutil.DecodeFeatures(nodes[0].data); err != nil {
			return nil, err
		}
	}
	old := node.Levels
	if !node.Enabled {
		old = nil
	}
	next := maps.Clone(old)
	results := make([]FeatureResult, len(updates))
	for i, u := range updates {
		level, known := old[u.Feature]
		if results[i] = u.check(level.Max, known); results[i].Err == nil {
			delete(next, u.Feature) // nothing else passes: no feature is supported
		}
	}
	if dry || maps.Equal(old, next) {
		return results, nil
	}
	changed := zkutil.Features{Enabled: true, Levels: next}
	if err := c.setFeatures(ctx, changed.Encode(), version); err != nil {
		c.log.WithError(err).Warn("Processing of feature updates failed")
		for i := range results {
			if results[i].Err == nil {
				results[i] = FeatureResult{kerr.FeatureUpdateFailed, "Unable to update finalized features due to an unexpected server error."}
			}
		}
	}
	return results, nil
}

// check says whether a feature may be updated that is at level now, if known.
func (u *FeatureUpdate) check(level int16, known bool) FeatureResult {
	refuse := func(format string, args ...any) FeatureResult {
		return FeatureResult{kerr.InvalidRequest, fmt.Sprintf(format, args...)}
	}
	const unsupported = "Could not apply finalized feature update because the provided feature is not supported."
	switch {
	case u.Feature == "":
		return refuse("Feature name can not be empty.")
	case u.Type < Upgrade || u.Type > UnsafeDowngrade:
		return refuse("Received unknown upgrade type.")
	case u.Level < 1 && u.Type != Upgrade && known:
		return FeatureResult{}
	case u.Level < 1 && u.Type != Upgrade:
		return refuse("Can not delete non-existing finalized feature.")
	case u.Level < 1:
		return refuse("Can not provide versionLevel: %d less than 1 without setting the SAFE downgradeType in the request.", u.Level)
	case !known:
		return refuse(unsupported)
	case u.Level == level && u.Type == SafeDowngrade:
		return refuse("Can not downgrade a finalized feature from existing versionLevel:%d to the same value.", level)
	case u.Level == level:
		return refuse("Can not upgrade a finalized feature from existing versionLevel:%d to the same value.", level)
	case u.Level < level && u.Type != SafeDowngrade:
		return refuse("Can not downgrade finalized feature from existing versionLevel:%d to provided versionLevel:%d without setting the downgradeType to SAFE in the request.", level, u.Level)
	case u.Level > level && u.Type != Upgrade:
		return refuse("When the downgradeType is set to SAFE in the request, the provided versionLevel:%d can not be greater than existing versionLevel:%d.", u.Level, level)
	}
	return refuse(unsupported)
}
