package main

import (
	"errors"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

func (w *world) server(pick int) *cluster.ZooKeeper { return w.ensemble.Servers()[pick%servers] }

func (w *world) deleteController(fault) (harm, error) {
	return harm{whom: "/controller" + outcome(within(5*time.Second, errAway, w.registry.DeleteController))}, nil
}

func (w *world) killZooKeeper(f fault) (harm, error) {
	z := w.server(f.pick)
	z.Kill()
	return harm{z.Node().Name(), func() error { return launch(z) }}, nil
}

func (w *world) pauseZooKeeper(f fault) (harm, error) {
	z := w.server(f.pick)
	z.Pause()
	return harm{z.Node().Name(), func() error { z.Resume(); return nil }}, nil
}

// rollZooKeeper restarts one server after the other.
func (w *world) rollZooKeeper(f fault) (harm, error) {
	for i := range servers {
		z := w.server(f.pick + i)
		z.Kill()
		time.Sleep(f.hold / servers)
		if err := launch(z); err != nil {
			return harm{}, err
		}
		within(20*time.Second, nil, z.AwaitAnswer) // which it does not, if another fault has taken the quorum
	}
	return harm{}, nil
}

func (w *world) loseQuorum(f fault) (harm, error) {
	a, b := w.server(f.pick), w.server(f.pick+1)
	a.Kill()
	b.Kill()
	return harm{a.Node().Name() + ", " + b.Node().Name(), func() error { return errors.Join(launch(a), launch(b)) }}, nil
}

// launch starts a ZooKeeper server unless another fault's end has done so already.
func launch(z *cluster.ZooKeeper) error {
	if z.Running() {
		return nil
	}
	return z.Launch()
}
