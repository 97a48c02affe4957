package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

func (w *world) killBroker(f fault) (harm, error) { return killed(w.target(f)), nil }

// killed kills a broker, which is started again in the end.
func killed(k *keeper) harm {
	k.kill()
	return harm{named(k), func() error { k.start(); return nil }}
}

func (w *world) stopBroker(f fault) (harm, error) {
	k := w.target(f)
	return harm{named(k), func() error { k.start(); return nil }}, k.stop()
}

func (w *world) pauseBroker(f fault) (harm, error) {
	k := w.target(f)
	k.pause()
	return harm{named(k), func() error { k.resume(); return nil }}, nil
}

func (w *world) expireSession(f fault) (harm, error) {
	k := w.target(f)
	err := within(5*time.Second, errAway, func() error {
		return w.registry.ExpireSession(k.broker.ID(), w.ensemble.Servers()...)
	})
	return harm{whom: named(k) + outcome(err)}, nil
}

func (w *world) killTwo(f fault) (harm, error) {
	f.aim = theController
	k := w.target(f)
	return all(kills, k, w.second(k, f))
}

func (w *world) killAll(fault) (harm, error) { return all(kills, w.brokers...) }

func (w *world) stopAll(fault) (harm, error) { return all((*keeper).stop, w.brokers...) }

func kills(k *keeper) error {
	k.kill()
	return nil
}

// all does something to several brokers at once, and starts them all in the end.
func all(do func(*keeper) error, whom ...*keeper) (harm, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(whom))
	var names []string
	for i, k := range whom {
		names = append(names, fmt.Sprint(k.broker.ID()))
		wg.Go(func() { errs[i] = do(k) })
	}
	wg.Wait()
	return harm{"brokers " + strings.Join(names, ", "), func() error {
		for _, k := range whom {
			k.start()
		}
		return nil
	}}, errors.Join(errs...)
}
