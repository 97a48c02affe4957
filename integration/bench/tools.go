package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/kafka"
)

const toolRecord = 1024 // bytes

// toolPatience is how long one of Kafka's tools may take.
const toolPatience = 3 * time.Minute

// tools measures with Kafka's own clients, as their performance tests use them. The bare program is
// no broker for them.
func (b *bench) tools(ctx context.Context, subjects []*subject) error {
	records := max(b.limit.Bytes/2/toolRecord, 1000)
	for round := range b.runs + 1 {
		for _, s := range subjects {
			if s.system == report.Bare {
				continue
			}
			if _, err := create(ctx, s, topic); err != nil {
				return err
			}
			if err := b.perfProducer(ctx, s, records, round); err != nil {
				return fmt.Errorf("%s: %w", s.system, err)
			}
			if err := b.perfConsumer(ctx, s, records, round); err != nil {
				return fmt.Errorf("%s: %w", s.system, err)
			}
			if err := drop(ctx, s, topic); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) perfProducer(ctx context.Context, s *subject, records int64, round int) error {
	const name = "kafka-producer-perf-test: 1 KiB records, acks=all, idempotent"
	output, cpu, err := b.tool(ctx, s, "kafka-producer-perf-test", "--topic", topic, "--num-records", strconv.FormatInt(records, 10),
		"--record-size", strconv.Itoa(toolRecord), "--throughput", "-1", "--producer-props", "bootstrap.servers="+s.Addr(), "acks=all")
	if err != nil {
		return err
	}
	result, err := parseProducer(output)
	if err != nil {
		return err
	}
	values := map[string]float64{throughput: result.perSecond * toolRecord / 1e6, cpuPerGB: perGB(cpu, records),
		p50: result.p50, p99: result.p99, p999: result.p999}
	b.note(name, []string{throughput, cpuPerGB, p50, p99, p999}, values, s, round)
	return nil
}

func (b *bench) perfConsumer(ctx context.Context, s *subject, records int64, round int) error {
	const name = "kafka-consumer-perf-test: 1 KiB records"
	var groups bool
	err := with(ctx, s, func(c *load.Conn) (err error) {
		groups, err = c.Serves(ctx, kmsg.JoinGroup)
		return err
	})
	if err != nil {
		return err
	}
	if !groups {
		for _, metric := range []string{throughput, cpuPerGB} {
			b.report.Row(name, metric).Missing = "needs consumer groups"
		}
		return nil
	}
	output, cpu, err := b.tool(ctx, s, "kafka-consumer-perf-test", "--bootstrap-server", s.Addr(), "--topic", topic,
		"--messages", strconv.FormatInt(records, 10), "--timeout", "60000", "--hide-header")
	if err != nil {
		return err
	}
	perSecond, err := parseConsumer(output)
	if err != nil {
		return err
	}
	values := map[string]float64{throughput: perSecond * (1 << 20) / 1e6, cpuPerGB: perGB(cpu, records)}
	b.note(name, []string{throughput, cpuPerGB}, values, s, round)
	return nil
}

func perGB(cpu time.Duration, records int64) float64 {
	return cpu.Seconds() / float64(records*toolRecord) * 1e9
}

// note adds what one run of a tool has shown, unless it was the first, and says it.
func (b *bench) note(name string, metrics []string, values map[string]float64, s *subject, round int) {
	var shown strings.Builder
	for _, metric := range metrics {
		fmt.Fprintf(&shown, ", %s %.2f", metric, values[metric])
		row := b.report.Row(name, metric)
		if round > 0 {
			row.Add(s.system, values[metric])
		}
	}
	b.say("%s, %s, run %d of %d%s", name, s.system, round, b.runs, shown.String())
}

// tool runs one of Kafka's tools and returns what it printed and what the broker spent meanwhile.
func (b *bench) tool(ctx context.Context, s *subject, name string, args ...string) ([]byte, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, toolPatience)
	defer cancel()
	cmd, err := kafka.Command(ctx, kafka.Options{}, name, args...)
	if err != nil {
		return nil, 0, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_, cpu, err := charged(s, func() (load.Result, error) { return load.Result{}, runCommand(cmd) })
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", name, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), cpu, err
}

func runCommand(cmd *exec.Cmd) error { return cmd.Run() }

// producerResult is the last line of kafka-producer-perf-test: records a second, and latencies in ms.
type producerResult struct {
	perSecond, p50, p99, p999 float64
}

var producerLine = regexp.MustCompile(`(?m)^\d+ records sent, ([\d.]+) records/sec .*, ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th, ([\d.]+) ms 99\.9th\.`)

func parseProducer(output []byte) (producerResult, error) {
	match := producerLine.FindSubmatch(output)
	if match == nil {
		return producerResult{}, fmt.Errorf("kafka-producer-perf-test printed no result:\n%s", output)
	}
	var values [4]float64
	for i := range values {
		var err error
		if values[i], err = strconv.ParseFloat(string(match[i+1]), 64); err != nil {
			return producerResult{}, fmt.Errorf("kafka-producer-perf-test: %w", err)
		}
	}
	return producerResult{values[0], values[1], values[2], values[3]}, nil
}

// parseConsumer returns the MiB a second that kafka-consumer-perf-test fetched, without the time it
// spent on joining its group. Its line has the columns start.time, end.time, data.consumed.in.MB,
// MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec and
// fetch.nMsg.sec.
func parseConsumer(output []byte) (float64, error) {
	for line := range strings.Lines(string(output)) {
		fields := strings.Split(strings.TrimSpace(line), ", ")
		if len(fields) != 10 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[8], 64); err == nil && !math.IsNaN(v) {
			return v, nil
		}
	}
	return 0, fmt.Errorf("kafka-consumer-perf-test printed no result:\n%s", output)
}
