package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// hit applies a fault and returns whom it has hit, and what undoes it.
func (w *world) hit(f fault) (whom string, undo func() error, err error) {
	nothing := func() error { return nil }
	n := len(w.brokers)
	switch f.kind {
	case kill, stop, pause, cut, cutOneWay, isolate, loseZK, loseOneZK, loseClient, expire:
		k := w.target(f)
		other := w.brokers[(int(k.broker.ID())-1+1+f.other%(n-1))%n]
		whom = fmt.Sprintf("broker %d", k.broker.ID())
		switch f.kind {
		case kill:
			k.kill()
			return whom, func() error { k.start(); return nil }, nil
		case stop:
			return whom, func() error { k.start(); return nil }, k.stop()
		case pause:
			k.pause()
			return whom, func() error { k.resume(); return nil }, nil
		case expire:
			return whom + outcome(w.expire(k)), nothing, nil
		}
		var links []netLink
		here := k.broker.Node()
		switch f.kind {
		case cut:
			links, whom = both(here, other.broker.Node()), fmt.Sprintf("%s and %d", whom, other.broker.ID())
		case cutOneWay:
			links, whom = []netLink{{here, other.broker.Node()}}, fmt.Sprintf("%s to %d", whom, other.broker.ID())
		case isolate:
			links = w.around(here)
		case loseZK:
			for _, z := range w.ensemble.Servers() {
				links = append(links, both(here, z.Node())...)
			}
		case loseOneZK:
			z := w.server(f.other)
			links, whom = both(here, z.Node()), whom+" and "+z.Node().Name()
		case loseClient:
			c := w.clients[f.other%len(w.clients)]
			links, whom = both(here, c), whom+" and "+c.Name()
		}
		return whom, func() error { return w.heal(links) }, w.cut(links)
	case fillDisk:
		k := w.brokers[n-1]
		return fmt.Sprintf("broker %d", k.broker.ID()), func() error { return w.freeDisk(k) }, w.disk.Fill()
	case resign:
		return "/controller" + outcome(within(5*time.Second, errAway, w.registry.DeleteController)), nothing, nil
	case killZK, pauseZK:
		z := w.server(f.pick)
		if f.kind == pauseZK {
			z.Pause()
			return z.Node().Name(), func() error { z.Resume(); return nil }, nil
		}
		z.Kill()
		return z.Node().Name(), func() error { return launch(z) }, nil
	case rollZK:
		return "", nothing, w.rollZooKeeper(f)
	case loseQuorum:
		a, b := w.server(f.pick), w.server(f.pick+1)
		a.Kill()
		b.Kill()
		return a.Node().Name() + ", " + b.Node().Name(), func() error { return errors.Join(launch(a), launch(b)) }, nil
	case killTwo:
		f.aim = theController
		a := w.target(f)
		return w.all(func(k *keeper) error { k.kill(); return nil }, a, w.brokers[(int(a.broker.ID())+f.other%(n-1))%n])
	case killAll:
		return w.all(func(k *keeper) error { k.kill(); return nil }, w.brokers...)
	case stopAll:
		return w.all((*keeper).stop, w.brokers...)
	case reassign:
		return w.operator.reassign(f, len(w.brokers)), nothing, nil
	case elect:
		return w.operator.elect(), nothing, nil
	case moveReplica:
		dirs := w.logDirs(n, n)
		return w.operator.move(f, int32(n), dirs[f.other%len(dirs)]), nothing, nil
	case topicLife:
		name, tag, outcome := w.operator.create(f)
		return name + outcome, func() error { return w.operator.delete(name, tag) }, nil
	}
	return "", nothing, fmt.Errorf("no fault %d", f.kind)
}

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
	}
	if id < 1 || int(id) > len(w.brokers) {
		id = int32(f.pick%len(w.brokers)) + 1
	}
	return w.brokers[id-1]
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

func (w *world) server(pick int) *cluster.ZooKeeper { return w.ensemble.Servers()[pick%servers] }

// launch starts a ZooKeeper server unless another fault's end has done so already.
func launch(z *cluster.ZooKeeper) error {
	if z.Running() {
		return nil
	}
	return z.Launch()
}

// all does something to several brokers at once, and starts them all in the end.
func (w *world) all(do func(*keeper) error, whom ...*keeper) (string, func() error, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(whom))
	var names []string
	for i, k := range whom {
		names = append(names, fmt.Sprint(k.broker.ID()))
		wg.Go(func() { errs[i] = do(k) })
	}
	wg.Wait()
	return "brokers " + strings.Join(names, ", "), func() error {
		for _, k := range whom {
			k.start()
		}
		return nil
	}, errors.Join(errs...)
}

func (w *world) expire(k *keeper) error {
	return within(5*time.Second, errAway, func() error {
		return w.registry.ExpireSession(k.broker.ID(), w.ensemble.Servers()...)
	})
}

var errAway = errors.New("ZooKeeper is away")

// outcome tells of a fault that could not be done, because of another one that lasts.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// freeDisk gives the broker its space back. A log directory that has failed is used again after a restart.
func (w *world) freeDisk(k *keeper) error {
	if err := w.disk.Free(); err != nil {
		return err
	}
	k.kill()
	k.start()
	return nil
}

// rollZooKeeper restarts one server after the other.
func (w *world) rollZooKeeper(f fault) error {
	for i := range servers {
		z := w.server(f.pick + i)
		z.Kill()
		time.Sleep(f.hold / servers)
		if err := launch(z); err != nil {
			return err
		}
		within(20*time.Second, nil, z.AwaitAnswer) // which it does not, if another fault has taken the quorum
	}
	return nil
}

// netLink is a direction of a link.
type netLink struct{ from, to *netns.Node }

func both(a, b *netns.Node) []netLink { return []netLink{{a, b}, {b, a}} }

// around returns all links of a broker's node.
func (w *world) around(here *netns.Node) []netLink {
	var links []netLink
	for _, c := range w.clients {
		links = append(links, both(here, c)...)
	}
	for _, z := range w.ensemble.Servers() {
		links = append(links, both(here, z.Node())...)
	}
	for _, k := range w.brokers {
		if k.broker.Node() != here {
			links = append(links, both(here, k.broker.Node())...)
		}
	}
	return links
}

func (w *world) cut(links []netLink) error {
	var errs []error
	for _, l := range links {
		errs = append(errs, w.network.Cut(l.from, l.to))
	}
	return errors.Join(errs...)
}

func (w *world) heal(links []netLink) error {
	var errs []error
	for _, l := range links {
		errs = append(errs, w.network.Heal(l.from, l.to))
	}
	return errors.Join(errs...)
}
