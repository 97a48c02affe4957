// Package server puts a broker together: it alone constructs the components, starts them in order and
// stops them in reverse. See Start and Shutdown for the orders and why they are so.
package server

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/api/fetch"
	"github.com/gregor-mq/gregor/broker/api/transactions"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/coordinator"
	"github.com/gregor-mq/gregor/broker/logger"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/replica/dirmover"
	"github.com/gregor-mq/gregor/broker/replica/fetcher"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/verifier"
	"github.com/gregor-mq/gregor/controller"
	"github.com/gregor-mq/gregor/zkutil"
)

// Server is one broker.
type Server struct {
	// cfg is the configuration that the broker has started with; config is the one of the moment.
	cfg     *config.Config
	config  dynamicConfig
	log     logrus.FieldLogger // the server's own
	loggers *logger.Registry

	// ctx ends when the broker begins to stop: what waits for ZooKeeper or the controller gives up.
	ctx    context.Context
	cancel context.CancelFunc
	done   chan error // why the broker cannot go on

	me           identity
	identified   bool // me is known
	zk           *zkutil.Client
	storage      *storage.Manager
	network      *network.Server
	metadata     *metadata.Cache
	replicas     *replica.Manager
	hosting      atomic.Pointer[replica.Manager] // replicas, for the hooks of storage, which run before it is set
	fetchers     *fetcher.Pool
	mover        *dirmover.Pool
	propagator   propagator
	registration *registration
	features     *featureCache
	controller   *controller.Controller
	ids          *transactions.IDs
	fetch        *fetch.Handler
	groups       *coordinator.Coordinator
	verifier     *verifier.Verifier
	changes      *zkutil.Changes
	throttles    *throttles
	shortage     *shortage

	started bool // Start has returned without an error
	stop    sync.Once
	stopErr error
}

// New returns a broker that is not started.
func New(cfg *config.Config, loggers *logger.Registry) (*Server, error) {
	s := &Server{cfg: cfg, loggers: loggers, done: make(chan error, 1), metadata: &metadata.Cache{}, throttles: newThrottles(cfg)}
	s.log = s.named("kafka.server.KafkaServer")
	s.config.now.Store(cfg)
	loggers.Named("kafka") // above nearly all of them
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Done delivers the error for which a started broker cannot go on, such as the loss of its last log
// directory. The owner then calls Shutdown.
func (s *Server) Done() <-chan error { return s.done }

// fail ends the broker because of err; only the first failure counts.
func (s *Server) fail(err error) {
	select {
	case s.done <- err:
	default:
	}
}

// Start starts the broker; ctx bounds how long that may take, not how long it runs. When it returns
// nil the broker is registered and accepts connections. After an error nothing is left running.
//
// Ports are bound before the broker registers, so that a port in use is found out in time, and
// accepted from once the controller is told where to find the broker.
func (s *Server) Start(ctx context.Context) error {
	started := time.Now()
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"connect to ZooKeeper", s.startZooKeeper},
		{"identify the broker", s.identify},
		{"read the dynamic configuration", s.readConfig},
		{"open the log directories", s.startStorage},
		{"start the group coordinator", s.startGroups},
		{"prepare to verify transactions", s.startVerifier},
		{"listen", s.startNetwork},
		{"register", s.register},
		{"start the controller", s.startController},
	}
	for _, step := range steps {
		if err := step.run(ctx); err != nil {
			s.Shutdown(ctx)
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	s.followChanges()
	if err := s.network.Start(); err != nil {
		s.Shutdown(ctx)
		return err
	}
	s.started = true
	s.log.WithField("brokerId", s.me.brokerID).WithField("took", time.Since(started).Round(time.Millisecond)).Info("started")
	return nil
}

func (s *Server) startZooKeeper(ctx context.Context) (err error) {
	opts := zkutil.Options{
		Connect:           s.cfg.Text("zookeeper.connect"),
		SessionTimeout:    s.cfg.Millis("zookeeper.session.timeout.ms"),
		ConnectionTimeout: s.cfg.ZooKeeperConnectionTimeout(),
		SetACL:            s.cfg.Bool("zookeeper.set.acl"),
		Logger:            s.named("kafka.zookeeper.ZooKeeperClient"),
	}
	if s.cfg.IsSet("zookeeper.max.in.flight.requests") {
		opts.MaxInFlight = s.cfg.Int("zookeeper.max.in.flight.requests")
	}
	if s.zk, err = zkutil.Connect(ctx, opts); err != nil {
		return err
	}
	return s.zk.EnsurePersistentPaths(ctx)
}

func (s *Server) identify(ctx context.Context) (err error) {
	if s.me, err = identify(ctx, s.zk, s.cfg, s.log); err != nil {
		return err
	}
	s.identified = true
	s.log = s.named("kafka.server.KafkaServer")
	return nil
}

// named returns the logger of a part of the broker, by the name of the class that does the same in Kafka.
func (s *Server) named(name string) logrus.FieldLogger {
	log := s.loggers.Named(name)
	if s.identified {
		log = log.WithField("broker", s.me.brokerID)
	}
	return log
}

// readConfig reads the dynamic configuration, before anything is made from the configuration.
func (s *Server) readConfig(ctx context.Context) error {
	s.config.id, s.config.log = s.me.brokerID, s.named("kafka.server.DynamicBrokerConfig")
	if err := s.config.read(ctx, s.zk); err != nil {
		return err
	}
	s.cfg = s.config.Load()
	s.throttles.setRates(s.cfg)
	return nil
}

func (s *Server) startStorage(ctx context.Context) error {
	configs, err := s.allTopicConfigs(ctx)
	if err != nil {
		return err
	}
	defaults, err := s.cfg.Topic(nil)
	if err != nil {
		return err
	}
	var cleaner *storage.CleanerConfig
	if s.cfg.Bool("log.cleaner.enable") {
		c := cleanerConfig(s.cfg)
		cleaner = &c
	}
	s.shortage = &shortage{log: s.log}
	s.storage, err = storage.Open(storage.Options{
		Cleaner:                         cleaner,
		CleanerLogger:                   s.named("kafka.log.LogCleaner"),
		Dirs:                            s.cfg.LogDirs(),
		MaxOpenFiles:                    ownDescriptors().files(),
		OnNoDescriptor:                  s.shortage.tell,
		Unusable:                        s.me.unusable,
		Defaults:                        logConfig(defaults),
		TopicConfig:                     func(topic string) storage.LogConfig { c, _ := configs(topic); return c },
		RecoveryThreads:                 s.cfg.Int("num.recovery.threads.per.data.dir"),
		CheckpointInterval:              s.cfg.Millis("log.flush.offset.checkpoint.interval.ms"),
		StartOffsetCheckpointInterval:   s.cfg.Millis("log.flush.start.offset.checkpoint.interval.ms"),
		HighWatermarkCheckpointInterval: s.cfg.Millis("replica.high.watermark.checkpoint.interval.ms"),
		RetentionCheckInterval:          s.cfg.Millis("log.retention.check.interval.ms"),
		FlushCheckInterval:              s.cfg.Millis("log.flush.scheduler.interval.ms"),
		InitialTaskDelay:                cmp.Or(s.cfg.Millis("log.initial.task.delay.ms"), -1), // 0 asks for none
		ProducerExpiry:                  s.cfg.Millis("producer.id.expiration.ms"),
		ProducerExpiryCheckInterval:     s.cfg.Millis("producer.id.expiration.check.interval.ms"),
		MaxTransactionTimeout:           s.cfg.Millis("transaction.max.timeout.ms"),
		OnDirFailure:                    s.dirFailed,
		OnAllDirsFailed:                 func(err error) { s.fail(fmt.Errorf("all log directories have failed: %w", err)) },
		Logger:                          s.named("kafka.log.LogManager"),
	})
	if err != nil {
		return err
	}
	return s.startReplicas()
}
