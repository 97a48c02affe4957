package clients

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Properties are the settings of a client, by Kafka's names. Values are written as in a Java properties
// file: times in milliseconds, sizes in bytes, lists with commas.
type Properties map[string]string

// reader takes settings from Properties and gathers what is wrong with them.
type reader struct {
	from  Properties
	taken map[string]bool
	errs  []error
}

func read(from Properties) *reader { return &reader{from: from, taken: map[string]bool{}} }

func (r *reader) refuse(name, value, allowed string) {
	r.errs = append(r.errs, fmt.Errorf("%s=%s: must be %s", name, value, allowed))
}

func (r *reader) text(name, byDefault string) string {
	r.taken[name] = true
	if value, ok := r.from[name]; ok {
		return strings.TrimSpace(value)
	}
	return byDefault
}

// servers returns the brokers of bootstrap.servers, of which there must be one, as host:port. A listener's name in
// front of one is left away, as by Kafka.
func (r *reader) servers() (list []string) {
	const name = "bootstrap.servers"
	value := r.text(name, "")
	for element := range strings.SplitSeq(value, ",") {
		if element = strings.TrimSpace(element); element == "" {
			continue
		}
		if _, address, ok := strings.Cut(element, "://"); ok {
			element = address
		}
		host, port, err := net.SplitHostPort(element)
		if number, numberErr := strconv.ParseUint(port, 10, 16); err != nil || numberErr != nil || number == 0 || host == "" {
			list = nil
			break
		}
		list = append(list, element)
	}
	if len(list) == 0 {
		r.refuse(name, value, "a list of host:port")
	}
	return list
}

func (r *reader) oneOf(name, byDefault string, allowed ...string) string {
	text := r.text(name, byDefault)
	value := strings.ToLower(text)
	if !slices.Contains(allowed, value) {
		r.refuse(name, text, "one of "+strings.Join(allowed, ", "))
	}
	return value
}

func (r *reader) number(name string, byDefault, lowest, highest int64) int64 {
	text := r.text(name, strconv.FormatInt(byDefault, 10))
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < lowest || value > highest {
		r.refuse(name, text, fmt.Sprintf("a whole number from %d to %d", lowest, highest))
		return byDefault
	}
	return value
}

func (r *reader) millis(name string, byDefault, lowest int64) time.Duration {
	return time.Duration(r.number(name, byDefault, lowest, math.MaxInt32)) * time.Millisecond
}

func (r *reader) boolean(name string, byDefault bool) bool {
	return r.oneOf(name, strconv.FormatBool(byDefault), "true", "false") == "true"
}

// finish returns all that is wrong, what nobody has asked for included.
func (r *reader) finish(client string) error {
	for _, name := range slices.Sorted(maps.Keys(r.from)) {
		if !r.taken[name] {
			r.errs = append(r.errs, fmt.Errorf("%s: not a property of this %s", name, client))
		}
	}
	if len(r.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", client, errors.Join(r.errs...))
}
