// Package logger gives each part of the broker a logger of its own, by a name with dots, whose level can be
// changed while the broker runs (Log4jController, KIP-412).
//
//	root  kafka  kafka.server.KafkaServer  kafka.log.LogManager  …
//
// A logger without a level of its own has that of the longest name above it that has one, in the end root's.
// The names are those of the Kafka classes that do the same work, so that what operators set for Kafka is right
// here too.
package logger

import (
	"io"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
)

// Root is the name of the logger that decides for all that nothing else is said of.
const Root = "root"

// Registry holds the loggers of a broker, which share one output.
type Registry struct {
	out       io.Writer
	formatter logrus.Formatter

	mu      sync.Mutex
	loggers map[string]*logrus.Logger
	own     map[string]logrus.Level // the levels that were set, by name of a logger; root's always
}

// New returns a Registry whose loggers write to out, one line for each event, and root, whose level is one of
// the six names in any case.
func New(out io.Writer, level string) *Registry {
	r := &Registry{
		out: &locked{out: out}, formatter: lineFormatter{},
		loggers: map[string]*logrus.Logger{}, own: map[string]logrus.Level{Root: levels[strings.ToUpper(level)]},
	}
	r.loggers[Root] = r.newLogger(r.own[Root])
	return r
}

// Named returns the logger called name, which is there from now on.
func (r *Registry) Named(name string) logrus.FieldLogger {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loggers[name] == nil {
		r.loggers[name] = r.newLogger(r.levelLocked(name))
	}
	return r.loggers[name].WithField(nameKey, name)
}

// nameKey is the field in which an event has the name of its logger.
const nameKey = "logger"

func (r *Registry) newLogger(level logrus.Level) *logrus.Logger {
	l := logrus.New()
	l.SetOutput(r.out)
	l.SetFormatter(r.formatter)
	l.SetLevel(level)
	return l
}

// levelLocked returns the level that name has, of its own or from above. It requires mu.
func (r *Registry) levelLocked(name string) logrus.Level {
	for {
		if level, ok := r.own[name]; ok {
			return level
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return r.own[Root]
		}
		name = name[:dot]
	}
}

// Levels returns the level in force of every logger, by its name.
func (r *Registry) Levels() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]string, len(r.loggers))
	for name := range r.loggers {
		all[name] = levelNames[r.levelLocked(name)]
	}
	return all
}

// Exists reports whether there is a logger called name.
func (r *Registry) Exists(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loggers[name] != nil
}

// SetLevel gives an existing logger a level of its own, one of Kafka's.
func (r *Registry) SetLevel(name, level string) {
	r.change(func() { r.own[name] = levels[level] })
}

// UnsetLevel takes a logger's own level away, unless it is root, which keeps its.
func (r *Registry) UnsetLevel(name string) {
	if name != Root {
		r.change(func() { delete(r.own, name) })
	}
}

func (r *Registry) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	for name, l := range r.loggers {
		l.SetLevel(r.levelLocked(name))
	}
}

var levels = map[string]logrus.Level{
	"TRACE": logrus.TraceLevel, "DEBUG": logrus.DebugLevel, "INFO": logrus.InfoLevel,
	"WARN": logrus.WarnLevel, "ERROR": logrus.ErrorLevel, "FATAL": logrus.FatalLevel,
}

// locked lets one line be written at a time: a logrus.Logger locks for itself only.
type locked struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}
