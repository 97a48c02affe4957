package main

import (
	"errors"
	"fmt"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// netLink is a direction of a link.
type netLink struct{ from, to *netns.Node }

func both(a, b *netns.Node) []netLink { return []netLink{{a, b}, {b, a}} }

func (w *world) cutBrokers(f fault) (harm, error) {
	k := w.target(f)
	other := w.second(k, f)
	return w.cut(fmt.Sprintf("%s and %d", named(k), other.broker.ID()), both(k.broker.Node(), other.broker.Node()))
}

func (w *world) cutOneWay(f fault) (harm, error) {
	k := w.target(f)
	other := w.second(k, f)
	return w.cut(fmt.Sprintf("%s to %d", named(k), other.broker.ID()), []netLink{{k.broker.Node(), other.broker.Node()}})
}

func (w *world) isolate(f fault) (harm, error) {
	k := w.target(f)
	links := w.toServers(k)
	for _, c := range w.clients {
		links = append(links, both(k.broker.Node(), c)...)
	}
	return w.cut(named(k), links)
}

// strand leaves a broker alone with the clients, to which it must not promise what the others do not know.
func (w *world) strand(f fault) (harm, error) {
	k := w.target(f)
	return w.cut(named(k), w.toServers(k))
}

// toServers returns a broker's links to ZooKeeper and to the other brokers.
func (w *world) toServers(k *keeper) []netLink {
	here := k.broker.Node()
	links := w.toZooKeeper(here)
	for _, other := range w.brokers {
		if other != k {
			links = append(links, both(here, other.broker.Node())...)
		}
	}
	return links
}

func (w *world) loseZooKeeper(f fault) (harm, error) {
	k := w.target(f)
	return w.cut(named(k), w.toZooKeeper(k.broker.Node()))
}

func (w *world) toZooKeeper(here *netns.Node) (links []netLink) {
	for _, z := range w.ensemble.Servers() {
		links = append(links, both(here, z.Node())...)
	}
	return links
}

func (w *world) loseOneZooKeeper(f fault) (harm, error) {
	k, z := w.target(f), w.server(f.other)
	return w.cut(named(k)+" and "+z.Node().Name(), both(k.broker.Node(), z.Node()))
}

func (w *world) loseClient(f fault) (harm, error) {
	k, c := w.target(f), w.clients[f.other%len(w.clients)]
	return w.cut(named(k)+" and "+c.Name(), both(k.broker.Node(), c))
}

// cut cuts links, which are healed in the end.
func (w *world) cut(whom string, links []netLink) (harm, error) {
	return harm{whom, func() error { return each(links, w.network.Heal) }}, each(links, w.network.Cut)
}

func each(links []netLink, do func(from, to *netns.Node) error) error {
	var errs []error
	for _, l := range links {
		errs = append(errs, do(l.from, l.to))
	}
	return errors.Join(errs...)
}
