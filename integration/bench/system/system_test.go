package system

import (
	"math"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestCPUTimeIsThatOfTheProcess(t *testing.T) {
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); { // use some
	}
	got, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	want := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if math.Abs((want - got).Seconds()) > 0.02 {
		t.Errorf("%v, and %v by getrusage", got, want)
	}
}

func TestCPUTimeOfNoProcess(t *testing.T) {
	if d, err := cpuTime(1 << 28); err == nil {
		t.Errorf("a process that is not there has used %v", d)
	}
}

func TestParseRSS(t *testing.T) {
	tests := []struct {
		name, status string
		want         int64
		ok           bool
	}{
		{"as the kernel writes it", "Name:\tgregor\nVmHWM:\t   90000 kB\nVmRSS:\t   54321 kB\nRssAnon:\t 1 kB\n", 54321 << 10, true},
		{"a kernel thread", "Name:\tkthreadd\n", 0, false},
		{"no number", "VmRSS:\tmuch kB\n", 0, false},
		{"no unit", "VmRSS:\t12\n", 0, false},
		{"nothing", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRSS([]byte(tt.status))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if own, err := parseRSS(status); err != nil || own < 1<<20 {
		t.Errorf("our own: %d, %v", own, err)
	}
}
