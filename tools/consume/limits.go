package consume

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// parseLimits reads where to begin, and how long to wait for records.
func (r *request) parseLimits(options *jopt.Set) error {
	text, err := options.Value("offset")
	if err != nil {
		return err
	}
	switch {
	case options.Has("offset"):
		if r.offset, err = parseOffset(text); err != nil {
			return err
		}
	case options.Has("from-beginning"):
		r.offset = offsetEarliest
	default:
		r.offset = offsetLatest
	}
	timeout, given, err := options.Int64("timeout-ms")
	if err != nil {
		return err
	}
	const forever = time.Duration(1<<63 - 1)
	if r.timeout = forever; given && timeout >= 0 && timeout < int64(forever/time.Millisecond) {
		r.timeout = time.Duration(timeout) * time.Millisecond
	}
	return nil
}

// parseMaxMessages reads how many records are printed. Kafka's tool looks at it when it runs already.
func (r *request) parseMaxMessages(env *tool.Env, options *jopt.Set) error {
	messages, given, err := options.Int32("max-messages")
	if err != nil {
		fmt.Fprintln(env.Stderr, "Processed a total of 0 messages")
		return err
	}
	if r.maxMessages = noLimit; given {
		r.maxMessages = int64(messages)
	}
	return nil
}

// parseOffset reads --offset: earliest, latest or a number.
func parseOffset(text string) (int64, error) {
	switch strings.ToLower(text) {
	case "earliest":
		return offsetEarliest, nil
	case "latest":
		return offsetLatest, nil
	}
	offset, err := strconv.ParseInt(text, 10, 64)
	if err != nil || offset < 0 {
		return 0, tool.Usagef("The provided offset value '%s' is incorrect. Valid values are 'earliest', 'latest', or a "+
			"non-negative long.", text)
	}
	return offset, nil
}
