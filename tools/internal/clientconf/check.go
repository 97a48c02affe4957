package clientconf

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// check returns Kafka's ConfigException if value is not one that the property can have.
func (d definition) check(value string) error {
	var err string
	switch d.kind {
	case "BOOLEAN":
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			err = "Expected value to be either true or false"
		}
	case "SHORT":
		err = d.checkInteger(value, 16)
	case "INT":
		err = d.checkInteger(value, 32)
	case "LONG":
		err = d.checkInteger(value, 64)
	case "DOUBLE":
		err = d.checkDouble(value)
	case "STRING":
		err = d.checkString(value)
	}
	if err == "" {
		return nil
	}
	return throwable.Newf(throwable.Config, "Invalid value %s for configuration %s: %s", value, d.name, err)
}

func (d definition) checkInteger(value string, bits int) string {
	n, err := strconv.ParseInt(value, 10, bits)
	if err != nil {
		return "Not a number of type " + d.kind
	}
	return d.checkRange(float64(n))
}

func (d definition) checkDouble(value string) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return "Not a number of type DOUBLE"
	}
	return d.checkRange(n)
}

// checkRange checks the notations [low,...], [low,...,high] and [low,...,high] or -1.
func (d definition) checkRange(n float64) string {
	valid, orMinusOne := strings.CutSuffix(d.valid, " or -1")
	low, high, ok := strings.Cut(strings.Trim(valid, "[]"), ",...")
	if !ok || orMinusOne && n == -1 {
		return ""
	}
	if bound, err := strconv.ParseFloat(low, 64); err == nil && n < bound {
		return "Value must be at least " + low
	}
	high = strings.TrimPrefix(high, ",")
	if bound, err := strconv.ParseFloat(high, 64); err == nil && n > bound {
		return "Value must be no more than " + high
	}
	return ""
}

// checkString checks the notations [a, b], (case insensitive) [A, B] and "non-empty string".
func (d definition) checkString(value string) string {
	list, insensitive := strings.CutPrefix(d.valid, "(case insensitive) ")
	if list == "non-empty string" && value == "" {
		return "String must be non-empty"
	}
	if !strings.HasPrefix(list, "[") {
		return ""
	}
	list = strings.Trim(list, "[]")
	same := func(allowed string) bool {
		return value == allowed || insensitive && strings.EqualFold(value, allowed)
	}
	switch {
	case slices.ContainsFunc(strings.Split(list, ", "), same):
		return ""
	case insensitive:
		return "String must be one of (case insensitive): " + list
	}
	return "String must be one of: " + list
}
