package clientconf

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/javanumber"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// check returns Kafka's ConfigException if the value given is not one that the property can have. What cannot be read is
// shown with the spaces around it, what is out of range without.
func (d definition) check(given string) error {
	value, shown := strings.TrimSpace(given), given
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
	case "CLASS":
		if _, known := classes[value]; !known {
			err = "Class " + given + " could not be found."
		}
	}
	if err == "" {
		return nil
	}
	if d.kind == "STRING" || strings.HasPrefix(err, "Value must be ") {
		shown = value
	}
	return throwable.Newf(throwable.Config, "Invalid value %s for configuration %s: %s", shown, d.name, err)
}

func (d definition) checkInteger(value string, bits int) string {
	n, err := strconv.ParseInt(value, 10, bits)
	if err != nil {
		return "Not a number of type " + d.kind
	}
	return d.checkRange(float64(n))
}

func (d definition) checkDouble(value string) string {
	n, ok := javanumber.ParseDouble(value)
	if !ok {
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
	if orMinusOne {
		return d.checkBetween(n, low, strings.TrimPrefix(high, ","))
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

// checkBetween checks a range that has one number beside it, which is named together with it.
func (d definition) checkBetween(n float64, low, high string) string {
	lowest, _ := strconv.ParseFloat(low, 64)
	highest, _ := strconv.ParseFloat(high, 64)
	if n < lowest || n > highest {
		return "Value must be between " + low + " and " + high + " or equal to -1"
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
