package main

import "time"

func (w *world) killMember(f fault) (harm, error) {
	return harm{whom: w.group(f).killOne()}, nil
}

// killRebalancing has a group rebalance, and kills its coordinator somewhere in the middle: members may be
// waited for, an assignment be on its way, or stored.
func (w *world) killRebalancing(f fault) (harm, error) {
	g := w.group(f)
	k := w.coordinatorOf(g, f)
	whom := g.disturb()
	time.Sleep(time.Duration(f.other%600) * time.Millisecond)
	h := killed(k)
	h.whom += ", group " + g.name + " rebalances: " + whom
	return h, nil
}

// killCommitting kills a group's coordinator while an offset commit is on its way to it, or when it has just been
// acknowledged.
func (w *world) killCommitting(f fault) (harm, error) {
	g := w.group(f)
	k := w.coordinatorOf(g, f)
	whom := g.await(moment(f.other%int(moments)), 2*time.Second)
	h := killed(k)
	h.whom += ", group " + g.name + ": " + whom
	return h, nil
}

// coordinatorOf returns the broker that coordinates a group, or otherwise one that the fault names.
func (w *world) coordinatorOf(g *group, f fault) *keeper {
	id := w.coordinator(g)
	if id < 1 || int(id) > len(w.brokers) {
		return w.brokers[f.other%len(w.brokers)]
	}
	return w.brokers[id-1]
}
