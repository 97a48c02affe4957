package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
)

// Loggers are the loggers of this broker. They forget their levels when the broker stops.
type Loggers interface {
	// Levels returns the level in force of each logger, by name.
	Levels() map[string]string
	// Exists reports whether there is a logger.
	Exists(name string) bool
	// SetLevel gives a logger a level of its own, one of logLevels; UnsetLevel takes it away.
	SetLevel(name, level string)
	UnsetLevel(name string)
}

// rootLogger is the name of the logger that decides for all that have no level of their own
// (Log4jController.ROOT_LOGGER).
const rootLogger = "root"

// logLevels are the levels that a logger can be given (LogLevelConfig), in the order of Kafka's message.
var logLevels = []string{"DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"}

// describeLoggers shows the loggers of this broker and their levels.
func (h *Handlers) describeLoggers(name string) ([]config.Entry, error) {
	if name == "" {
		return nil, status.New(kerr.InvalidRequest, "Broker id must not be empty")
	}
	if err := h.ownID(name, ", expected %d but received %d"); err != nil {
		return nil, err
	}
	levels := h.Loggers.Levels()
	entries := make([]config.Entry, 0, len(levels))
	for _, logger := range slices.Sorted(maps.Keys(levels)) {
		entries = append(entries, config.Entry{Name: logger, Value: new(levels[logger]), Source: config.FromLogger})
	}
	return entries, nil
}

// alterLoggers changes the levels of loggers of this broker at once, and nothing in ZooKeeper
// (RuntimeLoggerManager). Either all operations are right or nothing is changed.
func (h *Handlers) alterLoggers(a *alteration, validateOnly bool) error {
	id, err := strconv.ParseInt(a.Name, 10, 32)
	switch {
	case err != nil:
		return invalidRequest("Node id must be an integer, but it is: " + a.Name)
	case int32(id) != h.BrokerID: // the message names the broker's own id twice
		return invalidRequest(fmt.Sprintf("Unexpected node id. Expected %d, but received %d", h.BrokerID, h.BrokerID))
	}
	for i := range a.ops {
		if err := h.checkLogger(&a.ops[i]); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, op := range a.ops {
		log := h.Logger.WithField("name", op.Name)
		if op.Op == kmsg.IncrementalAlterConfigOpDelete {
			h.Loggers.UnsetLevel(op.Name)
			log.Warn("Unset the log level")
			continue
		}
		h.Loggers.SetLevel(op.Name, *op.Value)
		log.WithField("level", *op.Value).Warn("Updated the log level")
	}
	return nil
}

func (h *Handlers) checkLogger(op *kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	switch op.Op {
	case kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete:
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		return invalidRequest(op.Op.String() + " operation is not allowed for the BROKER_LOGGER resource")
	default:
		return kerr.UnknownServerError
	}
	switch {
	case !h.Loggers.Exists(op.Name):
		return status.New(kerr.InvalidConfig, "Logger "+op.Name+" does not exist!")
	case op.Op == kmsg.IncrementalAlterConfigOpDelete && op.Name == rootLogger:
		return invalidRequest("Removing the log level of the root logger is not allowed")
	case op.Op == kmsg.IncrementalAlterConfigOpSet && !slices.Contains(logLevels, *op.Value):
		return status.New(kerr.InvalidConfig, fmt.Sprintf("Cannot set the log level of %s to %s as it is not a supported log level. "+
			"Valid log levels are %s", op.Name, *op.Value, strings.Join(logLevels, ", ")))
	}
	return nil
}
