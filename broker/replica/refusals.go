package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// refusals are the partitions that a request of the controller is not carried out for, by the reason. They are logged here, since
// no controller does: of the answers they look at those alone that tell of failed log directories.
type refusals struct {
	reasons    []string
	levels     map[string]logrus.Level
	partitions map[string][]string
	details    map[string]string // what is peculiar to a partition, by its name
}

// named is how many partitions a line of the log names at most.
const named = 10

// add notes that nothing was done for p. That the controller says again what it has said before, as each new one does,
// is no refusal.
func (r *refusals) add(p topic.Partition, err error) {
	if err == nil || errors.Is(err, ErrStaleControllerEpoch) {
		return
	}
	reason, level := err.Error(), logrus.ErrorLevel
	switch {
	case errors.Is(err, storage.ErrStorage):
		reason, level = "the log directory is offline", logrus.WarnLevel // of which the log has more already
	case errors.Is(err, ErrUnknownPartition), errors.Is(err, ErrFencedLeaderEpoch):
		level = logrus.WarnLevel
	}
	if r.partitions == nil {
		r.levels, r.partitions, r.details = map[string]logrus.Level{}, map[string][]string{}, map[string]string{}
	}
	if errors.Is(err, ErrInconsistentTopicID) { // each topic has ids of its own
		reason = ErrInconsistentTopicID.Error()
		r.details[p.String()] = strings.TrimPrefix(err.Error(), reason)
	}
	if r.partitions[reason] == nil {
		r.reasons = append(r.reasons, reason)
		r.levels[reason] = level
	}
	r.partitions[reason] = append(r.partitions[reason], p.String())
}

// log writes a line for each reason, with what is peculiar to the first of its partitions.
func (r *refusals) log(log logrus.FieldLogger, request string) {
	slices.Sort(r.reasons)
	for _, reason := range r.reasons {
		names := r.partitions[reason]
		slices.Sort(names)
		some := strings.Join(names[:min(len(names), named)], ", ")
		if more := len(names) - named; more > 0 {
			some += fmt.Sprintf(" and %d more", more)
		}
		told := reason
		if detail := r.details[names[0]]; detail != "" {
			told += fmt.Sprintf(", as of %s%s", names[0], detail)
		}
		log.WithField("count", len(names)).WithField("error", told).Logf(r.levels[reason], "Ignoring %s for %s", request, some)
	}
}
