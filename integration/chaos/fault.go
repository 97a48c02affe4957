package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// harm is what a fault has come to.
type harm struct {
	whom string       // whom it has hit, or why it could not be done
	undo func() error // nil: nothing is to be undone
}

// hit applies a fault.
func (w *world) hit(f fault) (harm, error) { return faults[f.kind].hit(w, f) }

// target returns the broker that a fault is for; if nobody leads, the one that it names.
func (w *world) target(f fault) *keeper {
	id := int32(-1)
	switch f.aim {
	case theController:
		id = within(time.Second, -1, w.registry.Controller)
	case theLeader:
		id = within(time.Second, -1, func() int32 {
			state, err := w.registry.Partition(partitionOf(f.pick))
			if err != nil {
				return -1
			}
			return state.Leader
		})
	case theCoordinator:
		id = w.coordinator(w.group(f))
	}
	if id < 1 || int(id) > len(w.brokers) {
		id = int32(f.pick%len(w.brokers)) + 1
	}
	return w.brokers[id-1]
}

// second returns another broker than k.
func (w *world) second(k *keeper, f fault) *keeper {
	n := len(w.brokers)
	return w.brokers[(int(k.broker.ID())+f.other%(n-1))%n]
}

// group returns the consumer group that a fault is for.
func (w *world) group(f fault) *group { return w.groups[f.pick%len(w.groups)] }

// coordinator returns the broker that coordinates a group; -1 if nobody says so within a second.
func (w *world) coordinator(g *group) int32 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	found := w.operator.admin.FindGroupCoordinators(ctx, g.name)[g.name]
	if found.Err != nil {
		return -1
	}
	return found.NodeID
}

// within returns what f returns, or otherwise if that takes too long: ZooKeeper may be away.
func within[T any](limit time.Duration, otherwise T, f func() T) T {
	got := make(chan T, 1)
	go func() { got <- f() }() // ends when ZooKeeper is back, or the registry is closed
	select {
	case v := <-got:
		return v
	case <-time.After(limit):
		return otherwise
	}
}

var errAway = errors.New("ZooKeeper is away")

// outcome tells of a fault that could not be done, because of another one that lasts.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// named returns how a broker is told of.
func named(k *keeper) string { return fmt.Sprintf("broker %d", k.broker.ID()) }
