// Gregor is the broker program: it loads the configuration, runs the broker, and stops it on a signal.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/logger"
	"github.com/gregor-mq/gregor/broker/server"
)

const usage = `gregor runs a message broker that speaks Kafka's protocol and keeps its cluster in ZooKeeper.

FILE is a TOML file (config.toml names every property) or a Kafka server.properties, used as it is.
Without FILE all properties have their defaults and ZooKeeper is expected at ` + config.DefaultZooKeeper + `.
SIGTERM, or Ctrl-C, stops the broker in order; a second one at once.`

func main() {
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more stops no broker, as it stops no JVM
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the program with the given arguments and returns its exit status: 0 after an orderly
// stop, 1 after an error, which has been printed or logged.
func execute(args []string, stdout, stderr io.Writer) int {
	var overrides []string
	status := 0
	command := &cobra.Command{
		Use:                   "gregor [FILE] [--override name=value ...]",
		Short:                 "Run a Gregor broker",
		Long:                  usage,
		Version:               version(),
		Args:                  cobra.MaximumNArgs(1),
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		Run: func(_ *cobra.Command, files []string) {
			file := ""
			if len(files) == 1 {
				file = files[0]
			}
			status = run(file, overrides, stdout, stderr)
		},
	}
	command.Flags().StringArrayVar(&overrides, "override", nil, "a property that counts in place of the one in FILE, as `name=value`; may be repeated")
	command.SetVersionTemplate("gregor {{.Version}}\n")
	command.SetArgs(args)
	command.SetOut(stdout)
	command.SetErr(stderr)
	if err := command.Execute(); err != nil {
		fmt.Fprintf(stderr, "gregor: %v\nTry gregor --help.\n", err)
		return 1
	}
	return status
}

// signals are those that stop the broker, as they stop a JVM.
var signals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

func run(file string, overrides []string, stdout, stderr io.Writer) int {
	cfg, warnings, err := config.Load(file, overrides)
	if err != nil {
		fmt.Fprintf(stderr, "gregor: %v\n", err)
		return 1
	}
	loggers := logger.New(stdout, cfg.Text("gregor.log.level"))
	log := loggers.Named("kafka.Kafka$")
	log.WithFields(logrus.Fields{"version": version(), "pid": os.Getpid()}).Info("starting")
	log.WithField("file", file).Info("configuration: " + cfg.Summary())
	for _, warning := range warnings {
		log.Warn(string(warning))
	}
	if err := serve(cfg, loggers, log); err != nil {
		log.WithError(err).Log(logrus.FatalLevel, "exiting")
		return 1
	}
	log.Info("stopped")
	return 0
}

// serve runs the broker until a signal comes or it fails.
func serve(cfg *config.Config, loggers *logger.Registry, log logrus.FieldLogger) error {
	running, forget := signal.NotifyContext(context.Background(), signals...)
	defer forget()
	broker, err := server.New(cfg, loggers)
	if err != nil {
		return err
	}
	failure := broker.Start(running)
	if failure == nil {
		select {
		case <-running.Done():
		case failure = <-broker.Done():
		}
	}
	stopping, forgetSecond := signal.NotifyContext(context.Background(), signals...)
	defer forgetSecond()
	if running.Err() != nil {
		log.WithField("cause", context.Cause(running)).Info("stopping")
		failure = nil // a start that was broken off has not failed
	}
	if err := broker.Shutdown(stopping); err != nil && failure == nil {
		failure = fmt.Errorf("stop: %w", err)
	}
	return failure
}

// release is set by the linker to what git says about the checkout.
var release string

// version returns what --version prints after the name of the program.
func version() string {
	name := release
	if info, ok := debug.ReadBuildInfo(); ok && name == "" {
		name = info.Main.Version
	}
	return fmt.Sprintf("%s (Apache Kafka 3.9, %s, %s/%s)", name, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
