// Package javanumber writes and reads numbers as Java does.
package javanumber

import (
	"math"
	"strconv"
	"strings"
)

// Double returns Double.toString(f): 1024.0, 0.001, 1.0E10.
func Double(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64)+"inity", "+")
	case f == 0 || math.Abs(f) >= 1e-3 && math.Abs(f) < 1e7:
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(digits, ".") {
		digits += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return digits + "E" + strconv.Itoa(n)
}

// ParseDouble reads what Double.parseDouble does: spaces around and a d or f behind the number are left out.
func ParseDouble(text string) (float64, bool) {
	text = strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
	switch strings.TrimLeft(text, "+-") {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1 - 2*strings.Count(text, "-")), true
	}
	if strings.Contains(text, "_") || strings.Trim(text, "+-.0123456789eEdDfFxXpPaAbBcC") != "" {
		return 0, false
	}
	if !strings.ContainsAny(text, "xX") {
		text = strings.TrimRight(text, "dDfF")
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0)
}
