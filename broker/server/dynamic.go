package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/zkutil"
)

// dynamicConfig is the broker's configuration as it is now: that of the file, and over it what ZooKeeper has in
// /config/brokers (DynamicBrokerConfig, KIP-226).
//
// A change makes another config.Config and puts it in place of the one before; then each component is told what
// the change is in its own terms (Server.reconfigure). Nobody keeps a Config to ask it again later: those who
// need the configuration of the moment are given Load.
type dynamicConfig struct {
	id  int32
	log logrus.FieldLogger
	now atomic.Pointer[config.Config]

	mu      sync.Mutex                       // one change at a time
	wanted  config.Dynamic                   // what ZooKeeper has and is valid by itself; all together may not be
	changed func(before, now *config.Config) // told of changes; nil before the components are there
}

// Load returns the configuration of the moment.
func (d *dynamicConfig) Load() *config.Config { return d.now.Load() }

// read takes over what ZooKeeper has when the broker starts; nothing is running yet that could be told.
func (d *dynamicConfig) read(ctx context.Context, zk *zkutil.Client) error {
	all, err := zk.Config(ctx, zkutil.DefaultBrokers)
	if err != nil {
		return err
	}
	own, err := zk.Config(ctx, zkutil.BrokerEntity(d.id))
	if err != nil {
		return err
	}
	if own, err = d.reencode(ctx, zk, own); err != nil {
		return err
	}
	d.set(all, false)
	d.set(own, true)
	return nil
}

// reencode encrypts passwords anew if their secret has been changed.
func (d *dynamicConfig) reencode(ctx context.Context, zk *zkutil.Client, own map[string]string) (map[string]string, error) {
	again, write, err := d.Load().Reencode(own)
	if err != nil || !write {
		return own, err
	}
	if err := zk.ChangeConfig(ctx, zkutil.BrokerEntity(d.id), again); err != nil && !errors.Is(err, zkutil.ErrNoController) {
		return own, fmt.Errorf("encrypt passwords anew: %w", err)
	}
	return again, nil
}

// set makes stored, this broker's dynamic configuration or that of all, part of the configuration. What is
// wrong in it is logged and ignored; if all together is no configuration, the one before stays.
func (d *dynamicConfig) set(stored map[string]string, perBroker bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.Load()
	valid := before.FromStore(stored, perBroker)
	for _, line := range valid.Ignored {
		d.log.Error(line)
	}
	what := "Cluster default configs"
	if perBroker {
		d.wanted.Broker, what = valid.Set, "Per-broker configs of "+strconv.Itoa(int(d.id))
	} else {
		d.wanted.Default = valid.Set
	}
	now, err := before.WithDynamic(d.wanted)
	if err == nil && d.changed != nil {
		if problem := before.CheckChange(now); problem != nil {
			err = problem
		}
	}
	if err != nil {
		d.log.WithError(err).Error(what + " could not be applied")
		return
	}
	d.now.Store(now)
	if changes := before.Changes(now); changes != "" {
		d.log.Info("configuration changed: " + changes)
		if d.changed != nil {
			d.changed(before, now)
		}
	}
}

// tell has f called for each later change, one at a time.
func (d *dynamicConfig) tell(f func(before, now *config.Config)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = f
}

// followChanges begins to follow the changes in ZooKeeper (ZkConfigManager). Of what has been changed since the
// components were made from it there are notes, which are read first.
func (s *Server) followChanges() {
	s.config.tell(s.reconfigure)
	log := s.named("kafka.server.ZkConfigManager")
	s.changes = zkutil.NewChanges(zkutil.ChangesOptions{
		Client: s.zk, Path: zkutil.ConfigChangesPath, Prefix: "config_change_",
		Handle: func(ctx context.Context, data []byte) error {
			e, err := zkutil.DecodeConfigChange(data)
			if errors.Is(err, zkutil.ErrNoConfigChange) {
				return nil // from a version of Kafka before the format
			}
			if err != nil {
				return err
			}
			return s.entityChanged(ctx, e, log)
		},
		Renewed: s.reload,
		Logger:  log,
	})
	s.changes.Start()
}

// entityChanged brings the configuration of e into force.
func (s *Server) entityChanged(ctx context.Context, e zkutil.Entity, log logrus.FieldLogger) error {
	log = log.WithField("entity", e)
	isTopic := e.Type() == "topics"
	if !isTopic && e.Type() != "brokers" {
		log.Info("Processing override")
		return nil // users, clients and addresses have quotas, which are not built
	}
	stored, err := s.zk.Config(ctx, e)
	if err != nil {
		return err
	}
	find := config.Lookup
	if isTopic {
		find = config.LookupTopic
	}
	log.WithField("config", config.Shown(stored, find)).Info("Processing override")
	if isTopic {
		return s.topicChanged(e.Name(), stored)
	}
	s.brokerChanged(e, stored)
	return nil
}

// brokerChanged takes what is stored for all brokers or for one. What is said of another one is not ours.
func (s *Server) brokerChanged(e zkutil.Entity, stored map[string]string) {
	perBroker := e != zkutil.DefaultBrokers
	if !perBroker || e == zkutil.BrokerEntity(s.me.brokerID) {
		s.config.set(stored, perBroker)
	}
}

// reload brings everything into force that ZooKeeper has: after a session was lost, notes of changes may have come
// and gone.
func (s *Server) reload(ctx context.Context) error {
	for _, e := range []zkutil.Entity{zkutil.DefaultBrokers, zkutil.BrokerEntity(s.me.brokerID)} {
		stored, err := s.zk.Config(ctx, e)
		if err != nil {
			return err
		}
		s.brokerChanged(e, stored)
	}
	return s.reconfigureLogs(ctx)
}
