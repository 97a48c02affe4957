package main

func (w *world) reassign(f fault) (harm, error) {
	return harm{whom: w.operator.reassign(f, len(w.brokers))}, nil
}

func (w *world) electLeaders(fault) (harm, error) { return harm{whom: w.operator.elect()}, nil }

func (w *world) moveReplica(f fault) (harm, error) {
	n := len(w.brokers)
	dirs := w.logDirs(n)
	return harm{whom: w.operator.move(f, int32(n), dirs[f.other%len(dirs)])}, nil
}

// liveTopic creates a topic, and deletes it in the end.
func (w *world) liveTopic(f fault) (harm, error) {
	name, tag, outcome := w.operator.create(f)
	return harm{name + outcome, func() error { return w.operator.delete(name, tag) }}, nil
}
