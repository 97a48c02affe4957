package javanumber

import (
	"math"
	"testing"
)

func TestDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 1024: "1024.0", 50.5: "50.5", -1: "-1.0", 0.001: "0.001", 0.00012: "1.2E-4", 9999999: "9999999.0",
		1e7: "1.0E7", 12345678.5: "1.23456785E7", 1e100: "1.0E100", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		if got := Double(f); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
}

func TestParseDouble(t *testing.T) {
	for text, want := range map[string]float64{"5": 5, " 5.5 ": 5.5, "1e3": 1000, "5d": 5, ".5": 0.5, "-1": -1, "Infinity": math.Inf(1), "1e999": math.Inf(1)} {
		if got, ok := ParseDouble(text); !ok || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "abc", "1_0", "inf", "infinity", "nan", "0x", "5x", "1,5"} {
		if got, ok := ParseDouble(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}
