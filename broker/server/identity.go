package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/zkutil"
)

// identity says which broker of which cluster this is.
type identity struct {
	brokerID  int32
	clusterID string
	returning bool // all log directories were this broker's already
	// unusable are the log directories whose meta.properties can be neither read nor written, and why.
	unusable map[string]error
}

// metaDir is a log directory with what its meta.properties says.
type metaDir struct {
	path  string
	meta  checkpoint.MetaProperties
	found bool
}

// identify finds out who this broker is: the cluster's id from ZooKeeper, the broker's from the
// configuration, the log directories or a fresh one, in this order; and checks that the log
// directories belong to both (MetaPropertiesEnsemble, KafkaServer.getOrGenerateBrokerId).
func identify(ctx context.Context, zk *zkutil.Client, cfg *config.Config, log logrus.FieldLogger) (identity, error) {
	clusterID, err := zk.CreateOrGetClusterID(ctx)
	if err != nil {
		return identity{}, fmt.Errorf("read the cluster's id: %w", err)
	}
	log.WithField("clusterId", clusterID).Info("cluster id")
	dirs, unusable, err := readMeta(cfg.LogDirs(), log)
	if err != nil {
		return identity{}, err
	}
	stored, err := agree(dirs, cfg.BrokerID(), clusterID)
	if err != nil {
		return identity{}, err
	}
	me := identity{brokerID: cfg.BrokerID(), clusterID: clusterID, unusable: unusable}
	switch {
	case me.brokerID >= 0:
	case stored >= 0:
		me.brokerID = stored
	default: // the configuration allows generated ids, or it would hold one
		if me.brokerID, err = zk.GenerateBrokerID(ctx, int32(cfg.Int("reserved.broker.max.id"))); err != nil {
			return identity{}, fmt.Errorf("generate a broker id: %w", err)
		}
		log.WithField("brokerId", me.brokerID).Info("generated a broker id")
	}
	me.returning = !slices.ContainsFunc(dirs, func(d metaDir) bool { return !d.found || d.meta.BrokerID != me.brokerID })
	writeMeta(dirs, me, log)
	return me, nil
}

// readMeta reads every directory's meta.properties. A directory that cannot be read is offline from the start, whatever
// else it holds: it may be another broker's.
func readMeta(paths []string, log logrus.FieldLogger) (dirs []metaDir, unusable map[string]error, err error) {
	unusable = map[string]error{}
	for _, path := range paths {
		dir := metaDir{path: path}
		err := vfs.OS.MkdirAll(path)
		if err == nil {
			if dir.meta, dir.found, err = checkpoint.ReadMetaProperties(vfs.OS, path); err != nil {
				err = fmt.Errorf("read %s: %w", checkpoint.MetaFile, err)
			}
		}
		if err != nil {
			log.WithField("dir", path).WithError(err).Error("cannot use log directory")
			unusable[path] = err
			continue
		}
		dirs = append(dirs, dir)
	}
	if len(dirs) == 0 {
		return nil, nil, fmt.Errorf("none of the specified log dirs from %v can be created or validated: %w",
			paths, errors.Join(slices.Collect(maps.Values(unusable))...))
	}
	return dirs, unusable, nil
}

// agree checks the directories against each other, the configured broker id (-1: none) and the
// cluster's id, and returns the broker id that they hold, -1 if none does.
func agree(dirs []metaDir, configured int32, clusterID string) (int32, error) {
	stored := int32(-1)
	for _, d := range dirs {
		if !d.found {
			continue
		}
		m := d.meta
		switch {
		case m.Version != 0:
			return -1, fmt.Errorf("%s/meta.properties has version %d, of a KRaft cluster; with ZooKeeper it must be 0", d.path, m.Version)
		case m.ClusterID != "" && m.ClusterID != clusterID:
			return -1, fmt.Errorf("the cluster id %s does not match %s in %s/meta.properties: the broker is trying to join the wrong cluster; "+
				"check zookeeper.connect and log.dirs", clusterID, m.ClusterID, d.path)
		case m.BrokerID >= 0 && configured >= 0 && m.BrokerID != configured:
			return -1, fmt.Errorf("configured broker.id %d does not match the id %d stored in %s/meta.properties: "+
				"if you moved your data, make sure your configured broker.id matches; to give the broker a new id, clear its log directories", configured, m.BrokerID, d.path)
		case m.BrokerID >= 0 && stored >= 0 && m.BrokerID != stored:
			return -1, fmt.Errorf("the log directories hold different broker ids: %d and, in %s/meta.properties, %d", stored, d.path, m.BrokerID)
		}
		stored = max(stored, m.BrokerID)
	}
	return stored, nil
}

// writeMeta writes meta.properties where it does not say who this broker is. A directory where that fails is unusable.
func writeMeta(dirs []metaDir, me identity, log logrus.FieldLogger) {
	for _, d := range dirs {
		if d.found && d.meta.BrokerID == me.brokerID && d.meta.ClusterID == me.clusterID {
			continue
		}
		d.meta.Version, d.meta.BrokerID, d.meta.ClusterID = 0, me.brokerID, me.clusterID
		if err := checkpoint.WriteMetaProperties(vfs.OS, d.path, d.meta, time.Now()); err != nil {
			log.WithField("dir", d.path).WithError(err).Error("cannot write meta.properties")
			me.unusable[d.path] = fmt.Errorf("write %s: %w", checkpoint.MetaFile, err)
		}
	}
}
