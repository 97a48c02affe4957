package network

import (
	"net/netip"
	"sync"
	"time"
)

// admission counts connections and decides which may come in (ConnectionQuotas in SocketServer.scala).
type admission struct {
	mu struct {
		sync.Mutex
		protected string // the inter-broker listener, if there are others: only limits of its own hold it
		limits    Limits
		total     int
		listeners map[string]int
		ips       map[netip.Addr]int

		rate          bucket
		listenerRates map[string]*bucket
		ipRates       map[netip.Addr]*bucket
		changed       chan struct{} // closed when a connection ends or limits change; nil: nobody waits
	}
}

func newAdmission(listeners []Listener, limits Limits) *admission {
	a := &admission{}
	a.mu.limits = limits
	a.mu.listeners = map[string]int{}
	a.mu.ips = map[netip.Addr]int{}
	a.mu.listenerRates = map[string]*bucket{}
	a.mu.ipRates = map[netip.Addr]*bucket{}
	a.listen(listeners)
	return a
}

// listen makes listeners those that connections come from. A listener that is closed may still have some.
func (a *admission) listen(listeners []Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.protected = ""
	for _, l := range listeners {
		if a.mu.listenerRates[l.Name] == nil {
			a.mu.listenerRates[l.Name] = new(bucket)
		}
		if l.InterBroker && len(listeners) > 1 {
			a.mu.protected = l.Name
		}
	}
	a.announceLocked()
}

// isProtected reports whether only limits of its own hold a listener.
func (a *admission) isProtected(listener string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return listener == a.mu.protected
}

// set replaces the limits.
func (a *admission) set(limits Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.limits = limits
	a.announceLocked()
}

// announceLocked wakes those who wait for a slot. It requires mu.
func (a *admission) announceLocked() {
	if a.mu.changed != nil {
		close(a.mu.changed)
		a.mu.changed = nil
	}
}

// awaitSlot waits until listener may accept another connection, by number and by rate; it returns
// false if done is closed first. The slot is taken by take, after the accept: acceptors of different
// listeners may both take the last one of the broker.
func (a *admission) awaitSlot(listener string, done <-chan struct{}) bool {
	for {
		a.mu.Lock()
		if !a.fullLocked(listener) {
			delay := a.delayLocked(listener)
			a.mu.Unlock()
			if delay == 0 {
				return true
			}
			if !sleep(delay, done) {
				return false
			}
			continue
		}
		if a.mu.changed == nil {
			a.mu.changed = make(chan struct{})
		}
		changed := a.mu.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// hasSlot reports whether awaitSlot would not wait.
func (a *admission) hasSlot(listener string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.fullLocked(listener) && a.delayLocked(listener) == 0
}

// delayLocked returns how long the rates of connections keep listener from accepting another one. It requires mu.
func (a *admission) delayLocked(listener string) time.Duration {
	now := time.Now()
	broker, own := a.ratesLocked(listener)
	return max(a.mu.rate.delay(now, broker), a.mu.listenerRates[listener].delay(now, own))
}

// ratesLocked returns how many connections a second listener may accept together with the others, and by itself. The
// protected listener keeps only its own rate. Where the broker's lets nobody in, each connection waits for the cap
// of its delay, and no listener for another. It requires mu.
func (a *admission) ratesLocked(listener string) (broker, own int) {
	broker, own = a.mu.limits.CreationRate, a.mu.limits.Listeners[listener].CreationRate
	switch {
	case listener == a.mu.protected:
		return 0, own
	case broker < 0:
		return 0, broker
	}
	return broker, own
}

// fullLocked requires mu.
func (a *admission) fullLocked(listener string) bool {
	if limit := a.mu.limits.Listeners[listener].Connections; limit != 0 && a.mu.listeners[listener] >= limit {
		return true
	}
	return listener != a.mu.protected && a.mu.limits.Connections != 0 && a.mu.total >= a.mu.limits.Connections
}

// verdict is what is to happen to an accepted connection.
type verdict int8

const (
	admitted    verdict = iota
	closeNow            // too many connections from its address
	closeParked         // its address opens connections too fast: unread until a delay is over
)

// take counts a connection from ip that was accepted. Unless it is admitted, it is not counted.
func (a *admission) take(listener string, ip netip.Addr) (verdict, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	broker, own := a.ratesLocked(listener)
	a.mu.rate.spend(now, broker)
	a.mu.listenerRates[listener].spend(now, own)
	if limit := a.ipLimitLocked(ip); limit != 0 && a.mu.ips[ip] >= limit {
		return closeNow, 0
	}
	if rate := a.ipRateLocked(ip); rate > 0 {
		b := a.mu.ipRates[ip]
		if b == nil {
			b = new(bucket)
			a.mu.ipRates[ip] = b
		}
		if delay := b.delay(now, rate); delay > 0 {
			return closeParked, min(delay, rateWindow)
		}
		b.spend(now, rate)
	}
	a.mu.total++
	a.mu.listeners[listener]++
	a.mu.ips[ip]++
	return admitted, 0
}

func (a *admission) ipLimitLocked(ip netip.Addr) int {
	if limit, ok := a.mu.limits.PerIPOverrides[ip]; ok {
		return limit
	}
	return a.mu.limits.PerIP
}

func (a *admission) ipRateLocked(ip netip.Addr) int {
	if rate, ok := a.mu.limits.IPRates[ip]; ok {
		return rate
	}
	return a.mu.limits.IPRate
}

// release gives back what take counted.
func (a *admission) release(listener string, ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.total--
	a.mu.listeners[listener]--
	if a.mu.ips[ip]--; a.mu.ips[ip] == 0 {
		delete(a.mu.ips, ip)
	}
	a.announceLocked()
}

// total returns how many connections are open, and how many may be.
func (a *admission) total() (n, limit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.total, a.mu.limits.Connections
}

// excess returns how many connections are open beyond max.connections: it was lowered, or the
// protected listener took more.
func (a *admission) excess() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.limits.Connections == 0 {
		return 0
	}
	return max(a.mu.total-max(a.mu.limits.Connections, 0), 0)
}

// forgetRates drops the buckets that are full again.
func (a *admission) forgetRates(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ip, b := range a.mu.ipRates {
		if now.Sub(b.at) > rateBurst*time.Second {
			delete(a.mu.ipRates, ip)
		}
	}
}
