package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/api/discovery"
	"github.com/gregor-mq/gregor/zkutil"
)

// featureCache keeps the cluster's finalized features, which change rarely and stand in every
// ApiVersions response.
//
// A change, a new session and the start may have it read at once, and these reads may end in any order: the one that has
// begun last counts. If the node changes after that, its watch makes for a later one.
type featureCache struct {
	zk      *zkutil.Client
	watcher *zkutil.Watcher
	unhook  func()
	now     atomic.Pointer[discovery.Features]
	begun   atomic.Int64 // reads

	mu     sync.Mutex
	stored int64 // the read that now is of
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

// read reads the node and arms its watch. While ZooKeeper does not answer, what was read before holds.
func (f *featureCache) read(ctx context.Context) {
	turn := f.begun.Add(1)
	ctx, cancel := context.WithTimeout(ctx, featureReadTimeout)
	defer cancel()
	exists, _, err := f.zk.ExistsW(ctx, zkutil.FeaturePath, f.watcher)
	var data []byte
	var stat zkutil.Stat
	if err == nil && exists {
		data, stat, err = f.zk.Get(ctx, zkutil.FeaturePath)
	}
	if err == nil || errors.Is(err, zkutil.ErrNoNode) {
		f.store(turn, finalized(data, int64(stat.Version)))
	}
}

// store takes over what a read has found, unless a later one was faster.
func (f *featureCache) store(turn int64, found *discovery.Features) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if turn > f.stored {
		f.stored = turn
		f.now.Store(found)
	}
}

// finalized returns what the node's data say; of data that are missing or cannot be read, that there
// are no features.
func finalized(data []byte, version int64) *discovery.Features {
	none := &discovery.Features{Epoch: -1}
	if data == nil {
		return none
	}
	decoded, err := zkutil.DecodeFeatures(data)
	if err != nil || !decoded.Enabled {
		return none
	}
	levels := make(map[string]int16, len(decoded.Levels))
	for name, l := range decoded.Levels {
		levels[name] = l.Max
	}
	return &discovery.Features{Epoch: version, Levels: levels}
}
