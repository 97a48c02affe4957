package consume

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/javaregex"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// parseLimits reads where to begin and when to end.
func (r *request) parseLimits(env *tool.Env, options *jopt.Set) error {
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
	messages, given, err := options.Int32("max-messages")
	if err != nil {
		fmt.Fprintln(env.Stderr, "Processed a total of 0 messages") // Kafka's tool looks at it when it runs already
		return uncaught{err}
	}
	if r.maxMessages = noLimit; given {
		r.maxMessages = int64(messages)
	}
	return r.parsePattern()
}

// parsePattern reads which topics --include names.
func (r *request) parsePattern() error {
	if r.include == "" {
		return nil
	}
	pattern, err := javaregex.Compile(r.include)
	if err == nil {
		var ok bool
		if r.included, r.excluded, ok = pattern.Excluding(); !ok {
			err = errors.New("only one alternative with lookaheads, which must be negative, is supported: " + r.include)
		}
	}
	if err != nil {
		return uncaught{throwable.New("java.util.regex.PatternSyntaxException", err.Error())}
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
