package main

import (
	"context"
	"fmt"

	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/bench/simulated"
)

// scale measures clusters of many partitions.
func (b *bench) scale(ctx context.Context) error {
	if err := b.failoversOf(ctx, b.many); err != nil {
		return err
	}
	workload := fmt.Sprintf("controller: %d partitions of three replicas on six simulated brokers", 100*b.topics)
	for round := range b.runs {
		r, err := simulated.Failover(ctx, fmt.Sprintf("%s/simulated-%d", b.zooKeeper, round), b.topics)
		if err != nil {
			return err
		}
		for _, metric := range []struct {
			name  string
			value float64
		}{
			{"s to the last LeaderAndIsr: first leaders", r.Create.Seconds()},
			{"s to the last LeaderAndIsr: fail-over of the controller", r.Failover.Seconds()},
			{"s to the last LeaderAndIsr: death of a broker", r.Death.Seconds()},
			{"MB that the controller holds", float64(r.Heap) / 1e6},
			{"goroutines", float64(r.Goroutines)},
		} {
			b.report.Row(workload, metric.name).Add(report.Gregor, metric.value)
			b.say("%s, run %d of %d: %s %.2f", workload, round+1, b.runs, metric.name, metric.value)
		}
	}
	return nil
}
