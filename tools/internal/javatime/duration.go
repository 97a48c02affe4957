package javatime

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// The classes of errors about durations.
const (
	dateTimeParse = "java.time.format.DateTimeParseException"
	dateTime      = "java.time.DateTimeException"
	arithmetic    = "java.lang.ArithmeticException"
)

// Java's instants lie between these seconds since 1970.
const (
	instantMin = -31557014167219200
	instantMax = 31556889864403199
)

// Duration is a length of time as Java has it, which may be longer than time.Duration can be.
type Duration struct {
	Seconds int64
	Nanos   int32 // 0 to 999,999,999, added to Seconds also if they are negative
}

// iso is PnDTnHnMn.nS. Each number may have a sign, and the whole too; letters may be small.
var iso = regexp.MustCompile(`^([-+]?)[Pp](?:([-+]?[0-9]+)[Dd])?([Tt](?:([-+]?[0-9]+)[Hh])?(?:([-+]?[0-9]+)[Mm])?` +
	`(?:([-+]?[0-9]+)(?:[.,]([0-9]{0,9}))?[Ss])?)?$`)

const noDuration = "Text cannot be parsed to a Duration"

// ParseDuration reads a duration as java.time.Duration.parse does: P2DT3H4M5.6S.
func ParseDuration(text string) (Duration, error) {
	match := iso.FindStringSubmatch(text)
	if match == nil || match[3] == "T" || match[2]+match[4]+match[5]+match[6] == "" {
		return Duration{}, throwable.New(dateTimeParse, noDuration)
	}
	units := []struct {
		text, name string
		seconds    int64
	}{{match[2], "days", 86400}, {match[4], "hours", 3600}, {match[5], "minutes", 60}, {match[6], "seconds", 1}}
	total := new(big.Int)
	overflow := false
	for _, unit := range units {
		n, err := parseNumber(unit.text, unit.seconds)
		if err != nil {
			return Duration{}, caused(": "+unit.name, err)
		}
		total.Add(total, big.NewInt(n))
		overflow = overflow || !total.IsInt64()
	}
	if overflow {
		return Duration{}, caused(": overflow", throwable.New(arithmetic, "long overflow"))
	}
	d := Duration{Seconds: total.Int64(), Nanos: fraction(match[7])}
	if strings.HasPrefix(match[6], "-") {
		d = d.subtractNanos()
	}
	if match[1] != "-" {
		return d, nil
	}
	negated, err := d.negated()
	if err != nil {
		return Duration{}, caused(": overflow", err)
	}
	return negated, nil
}

func caused(what string, err error) error {
	return &throwable.Exception{Class: dateTimeParse, Message: noDuration + what, Cause: err}
}

// parseNumber returns the number times multiplier, 0 for no number.
func parseNumber(text string, multiplier int64) (int64, error) {
	if text == "" {
		return 0, nil
	}
	text = strings.TrimPrefix(text, "+")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, throwable.Newf(throwable.NumberFormat, `Error at index %d in: "%s"`, overflowIndex(text), text)
	}
	if n > math.MaxInt64/multiplier || n < math.MinInt64/multiplier {
		return 0, throwable.New(arithmetic, "long overflow")
	}
	return n * multiplier, nil
}

// overflowIndex returns the index of the digit at which Java's Long.parseLong finds that a number is too large.
func overflowIndex(text string) int {
	for i := range text {
		if n, ok := new(big.Int).SetString(text[:i+1], 10); ok && !n.IsInt64() {
			return i
		}
	}
	return len(text) - 1
}

// fraction returns the digits after the point as nanoseconds.
func fraction(digits string) int32 {
	n, _ := strconv.ParseInt((digits + "000000000")[:9], 10, 32)
	return int32(n)
}

// subtractNanos makes the nanoseconds of d count downwards.
func (d Duration) subtractNanos() Duration {
	if d.Nanos == 0 {
		return d
	}
	return Duration{d.Seconds - 1, 1e9 - d.Nanos}
}

func (d Duration) negated() (Duration, error) {
	if d.Seconds == math.MinInt64 {
		nanos := new(big.Int).Mul(big.NewInt(d.Seconds), big.NewInt(-1e9))
		return Duration{}, throwable.New(arithmetic, "Exceeds capacity of Duration: "+nanos.Sub(nanos, big.NewInt(int64(d.Nanos))).String())
	}
	return Duration{Seconds: -d.Seconds, Nanos: d.Nanos}.subtractNanos(), nil
}

// Before returns the time, in milliseconds since 1970, that lies d before now.
func (d Duration) Before(now time.Time) (int64, error) {
	negated, err := d.negated()
	if err != nil {
		return 0, err
	}
	nanos := int64(now.Nanosecond()) + int64(negated.Nanos)
	seconds := new(big.Int).Add(big.NewInt(now.Unix()+nanos/1e9), big.NewInt(negated.Seconds))
	switch {
	case !seconds.IsInt64():
		return 0, throwable.New(arithmetic, "long overflow")
	case seconds.Int64() < instantMin || seconds.Int64() > instantMax:
		return 0, throwable.New(dateTime, "Instant exceeds minimum or maximum instant")
	case seconds.Int64() > math.MaxInt64/1000-1 || seconds.Int64() < math.MinInt64/1000+1:
		return 0, throwable.New(arithmetic, "long overflow")
	}
	return seconds.Int64()*1000 + nanos%1e9/1e6, nil
}
