package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// parse reads text as a value of type t: bool, int64, float64, string or []string. A problem that
// is not empty is what Kafka's ConfigException says after the name.
func (t Type) parse(text string) (value any, problem string) {
	trimmed := trim(text)
	switch t {
	case Bool:
		switch strings.ToLower(trimmed) {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case Short, Int, Long:
		bits := map[Type]int{Short: 16, Int: 32, Long: 64}[t]
		n, err := strconv.ParseInt(trimmed, 10, bits)
		if err != nil {
			return nil, "Not a number of type " + t.String()
		}
		return n, ""
	case Double:
		x, err := parseDouble(trimmed)
		if err != nil {
			return nil, "Not a number of type DOUBLE"
		}
		return x, ""
	case List:
		return splitList(trimmed), ""
	case Class:
		if trimmed == "" {
			return nil, "Class  could not be found"
		}
	}
	return trimmed, ""
}

// format writes a parsed value as DescribeConfigs shows it (ConfigDef.convertToString).
func format(value any) string {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatDouble(v)
	case []string:
		return strings.Join(v, ",")
	case string:
		return v
	}
	return ""
}

// formatJava writes a value as Java puts it into an error message, where lists have brackets.
func formatJava(value any) string {
	if list, ok := value.([]string); ok {
		return "[" + strings.Join(list, ", ") + "]"
	}
	return format(value)
}

// trim cuts what Java's String.trim cuts: every control character and space at both ends.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}

var comma = regexp.MustCompile(`\s*,\s*`)

func splitList(s string) []string {
	if s == "" {
		return []string{}
	}
	return comma.Split(s, -1)
}

// splitNonEmpty is Kafka's Csv.parseCsvList: a list whose empty elements do not count.
func splitNonEmpty(s string) []string {
	var list []string
	for _, element := range splitList(s) {
		if element != "" {
			list = append(list, element)
		}
	}
	return list
}

var doubleForm = regexp.MustCompile(`^[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?|` +
	`0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+[dDfF]?)$`)

// parseDouble reads what Java's Double.parseDouble reads.
func parseDouble(s string) (float64, error) {
	if !doubleForm.MatchString(s) {
		return 0, strconv.ErrSyntax
	}
	if !strings.HasSuffix(s, "Infinity") {
		s = strings.TrimRight(s, "dDfF")
	}
	x, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		return x, nil // Java rounds to infinity or zero
	}
	return x, err
}

// formatDouble writes x as Java's Double.toString does: always with a decimal point, and with an
// exponent from ten million on and below a thousandth.
func formatDouble(x float64) string {
	switch abs := math.Abs(x); {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	case x == 0 || abs >= 1e-3 && abs < 1e7:
		s := strconv.FormatFloat(x, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		panic("config: exponent of a float: " + exponent)
	}
	return mantissa + "E" + strconv.Itoa(n)
}
