package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/api/discovery"
	"github.com/gregor-mq/gregor/zkutil"
)

// featureCache keeps the cluster's finalized features, which change rarely and stand in every
// ApiVersions response.
type featureCache struct {
	zk      *zkutil.Client
	watcher *zkutil.Watcher
	unhook  func()
	now     atomic.Pointer[discovery.Features]
}

// featureReadTimeout bounds a read on ZooKeeper's event goroutine, which must not be held up for long.
const featureReadTimeout = 5 * time.Second

func newFeatureCache(ctx context.Context, zk *zkutil.Client) *featureCache {
	f := &featureCache{zk: zk}
	f.now.Store(&discovery.Features{Epoch: -1})
	f.watcher = zkutil.NewWatcher(func(zkutil.Event) { f.read(ctx) })
	f.unhook = zk.Subscribe(zkutil.Subscriber{Renewed: func(int64) { f.read(ctx) }})
	f.read(ctx)
	return f
}

// close ends the watch.
func (f *featureCache) close() {
	f.watcher.Stop()
	f.unhook()
}

// features returns what the cluster has finalized.
func (f *featureCache) features() discovery.Features { return *f.now.Load() }

// read reads the node and arms its watch. Of an unreadable node nothing is told.
func (f *featureCache) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, featureReadTimeout)
	defer cancel()
	next := discovery.Features{Epoch: -1}
	defer func() { f.now.Store(&next) }()
	exists, _, err := f.zk.ExistsW(ctx, zkutil.FeaturePath, f.watcher)
	if err != nil || !exists {
		return
	}
	data, stat, err := f.zk.Get(ctx, zkutil.FeaturePath)
	if err != nil {
		return
	}
	decoded, err := zkutil.DecodeFeatures(data)
	if err != nil || !decoded.Enabled {
		return
	}
	next.Epoch = int64(stat.Version)
	next.Levels = make(map[string]int16, len(decoded.Levels))
	for name, l := range decoded.Levels {
		next.Levels[name] = l.Max
	}
}
