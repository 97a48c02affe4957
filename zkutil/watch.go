package zkutil

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

// EventType says what happened to a watched znode.
type EventType = zk.EventType

// The events of a znode. Watched with Exists: Created, Deleted, DataChanged; with Get: Deleted,
// DataChanged; with Children: ChildrenChanged, Deleted.
const (
	Created         EventType = zk.EventNodeCreated
	Deleted         EventType = zk.EventNodeDeleted
	DataChanged     EventType = zk.EventNodeDataChanged
	ChildrenChanged EventType = zk.EventNodeChildrenChanged
)

// Event is one change of a watched znode.
type Event struct {
	Type EventType
	Path string // without the chroot
}

// Watcher is who hears of changes. One Watcher may watch any number of nodes, and is given with every
// read that shall watch. It hears of the next change only (the watch is "one-shot") and learns of
// further ones by reading again; being given twice for a node before that changes counts once, so
// that reading often costs nothing.
//
// The end of a session ends its watches without an event: read again on Subscriber.Renewed. A lost
// connection does not; what changed meanwhile is heard of afterwards.
type Watcher struct {
	call    func(Event)
	stopped atomic.Bool
}

// NewWatcher returns a Watcher that calls fn, on the Client's one event goroutine, in the order of the
// changes. It should not take long.
func NewWatcher(fn func(Event)) *Watcher { return &Watcher{call: fn} }

// Stop ends w: events that come later are ignored. A call that runs already is not waited for.
func (w *Watcher) Stop() { w.stopped.Store(true) }

// fire calls w unless it was stopped.
func (w *Watcher) fire(e Event) {
	if !w.stopped.Load() {
		w.call(e)
	}
}

// watchKind mirrors go-zookeeper's kinds of watches.
type watchKind int8

const (
	watchData watchKind = iota
	watchExist
	watchChild
)

// watchedBy names the kinds of watches that an event uses up, as go-zookeeper does it.
var watchedBy = map[EventType][]watchKind{
	Created:         {watchExist},
	DataChanged:     {watchExist, watchData},
	ChildrenChanged: {watchChild},
	Deleted:         {watchExist, watchData, watchChild},
}

type watchKey struct {
	path string // with the chroot
	kind watchKind
}

// watch is who waits for the next change of one key.
type watch struct {
	watchers []*Watcher
	armed    bool // go-zookeeper and the server hold a watch for it
}

// watches are the watches of one session.
//
// go-zookeeper keeps a channel for each read that asked for a watch until the node changes, so asking
// for each read would grow without end. Therefore only the first asks (armed), and the events are
// taken from the connection's callback rather than from the channels.
//
// Why no change is missed: a watcher is added before its read is sent. If the watch is armed then, it
// fires for every change after that moment. If it is not, the read itself arms it; an event that comes
// in between was for an earlier watch on the same key and calls the watcher too early, which does no
// harm, since it reads again.
type watches struct {
	mu    sync.Mutex
	keys  map[watchKey]*watch
	armed int // how many keys are armed
}

// pending is a watcher whose read is out.
type pending struct {
	watches *watches
	watcher *Watcher
	slots   []slot
	arms    bool // the read itself asks for the watch
}

type slot struct {
	key   watchKey
	entry *watch
	added bool // and was not there before
}

// begin registers w for keys before its read is sent. Of the keys one will stay: Exists learns only
// from the answer which kind of watch it sets.
func (ws *watches) begin(w *Watcher, keys ...watchKey) pending {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.keys == nil {
		ws.keys = map[watchKey]*watch{}
	}
	p := pending{watches: ws, watcher: w, arms: true}
	for _, key := range keys {
		entry := ws.keys[key]
		if entry == nil {
			entry = new(watch)
			ws.keys[key] = entry
		}
		added := !slices.Contains(entry.watchers, w)
		if added {
			entry.watchers = append(entry.watchers, w)
		}
		if entry.armed {
			p.arms = false
		}
		p.slots = append(p.slots, slot{key, entry, added})
	}
	return p
}

// end keeps the watcher for the one kind that the answer has shown to be right, if the read succeeded,
// and takes it back from the others. An entry that has fired since is no longer in the map, and its
// watchers have been called.
func (p *pending) end(kept watchKind, ok bool) {
	ws := p.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, s := range p.slots {
		switch {
		case ws.keys[s.key] != s.entry:
		case ok && s.key.kind == kept:
			if p.arms && !s.entry.armed {
				s.entry.armed = true
				ws.armed++
			}
		default:
			if s.added {
				s.entry.watchers = slices.DeleteFunc(s.entry.watchers, func(w *Watcher) bool { return w == p.watcher })
			}
			if len(s.entry.watchers) == 0 && !s.entry.armed {
				delete(ws.keys, s.key)
			}
		}
	}
}

// take removes and returns who waits for an event of type t on path; t's watches are used up.
func (ws *watches) take(t EventType, path string) []*Watcher {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var found []*Watcher
	for _, kind := range watchedBy[t] {
		key := watchKey{path, kind}
		entry := ws.keys[key]
		if entry == nil {
			continue
		}
		if entry.armed {
			ws.armed--
		}
		delete(ws.keys, key)
		for _, w := range entry.watchers {
			if !slices.Contains(found, w) {
				found = append(found, w)
			}
		}
	}
	return found
}

// anyArmed reports whether go-zookeeper will set watches again after a reconnection.
func (ws *watches) anyArmed() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.armed > 0
}
