package main

import (
	"context"
	"errors"
	"fmt"
)

// program names an implementation.
func program(kafka bool) string { return map[bool]string{false: "Gregor", true: "Kafka"}[kafka] }

// swapBroker has a broker stop in order, and starts the other implementation in its place.
func (w *world) swapBroker(f fault) (harm, error) {
	k := w.target(f)
	err := k.stop()
	return w.swapped(k), err
}

// killAndSwap is swapBroker after a SIGKILL.
func (w *world) killAndSwap(f fault) (harm, error) {
	k := w.target(f)
	k.kill()
	return w.swapped(k), nil
}

// swapped gives the place of a broker that was just ended to the other implementation, which is started in the end. The end
// comes when it is registered, unless that takes too long because of other faults.
func (w *world) swapped(k *keeper) harm {
	kafka := k.swap()
	return harm{fmt.Sprintf("%s, %s to %s", named(k), program(!kafka), program(kafka)), func() error {
		ctx, cancel := context.WithTimeoutCause(context.Background(), w.patience.start, errors.New("it has not started yet"))
		defer cancel()
		before := within(w.patience.start, 0, func() int64 { return w.registry.Epoch(k.broker.ID()) })
		k.start()
		if err := w.await(ctx, named(k), func() string { return w.unregistered(k, before) }); err != nil {
			w.say("%v", err)
		}
		return nil
	}}
}

// unregistered says that a broker has no registration but the one before; nothing is all right.
func (w *world) unregistered(k *keeper, before int64) string {
	epoch := within(w.patience.start, before, func() int64 { return w.registry.Epoch(k.broker.ID()) })
	if epoch == 0 || epoch == before {
		return "not registered"
	}
	return ""
}

// swaps is how often brokers have become ones of the other implementation.
type swaps struct{ toGregor, toKafka int }

func (s *swaps) note(kafka bool) {
	if kafka {
		s.toKafka++
	} else {
		s.toGregor++
	}
}

// swaps returns those of all brokers.
func (w *world) swaps() (all swaps) {
	for _, k := range w.brokers {
		s := k.swapped()
		all.toGregor, all.toKafka = all.toGregor+s.toGregor, all.toKafka+s.toKafka
	}
	return all
}
