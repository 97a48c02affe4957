package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/kafka"
)

// environment describes the machine, and how busy it is with other things.
func environment() string {
	kernel := "an unknown kernel"
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		kernel = "Linux " + unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	memory := uint64(0)
	if unix.Sysinfo(&info) == nil {
		memory = uint64(info.Totalram) * uint64(info.Unit) >> 20
	}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	loadavg, _ := os.ReadFile("/proc/loadavg") // of 1, 5 and 15 minutes, and more
	loads := strings.Fields(string(loadavg))
	return fmt.Sprintf("%d x %s, %d MiB, %s, %s; Apache Kafka %s; load average %s", runtime.NumCPU(), processor(cpuinfo),
		memory, kernel, runtime.Version(), kafka.Version, strings.Join(loads[:min(3, len(loads))], " "))
}

// wakeUps says how late the machine wakes threads up.
func wakeUps(late *report.Samples) string {
	return fmt.Sprintf("At rest, wake-ups of this machine are late by %.2f ms (p99), %.2f ms (p99.9), at most %.2f ms.",
		milliseconds(late.Percentile(99)), milliseconds(late.Percentile(99.9)), milliseconds(late.Percentile(100)))
}

// processor finds the name of the processor in the text of /proc/cpuinfo.
func processor(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		if name, value, _ := bytes.Cut(line, []byte(":")); strings.TrimSpace(string(name)) == "model name" {
			return strings.TrimSpace(string(value))
		}
	}
	return runtime.GOARCH
}
