package main

import (
	"strings"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// respawn is the time after which a broker that has ended by itself is started again.
const respawn = time.Second

// A keeper starts its broker again when that has ended by itself, as an init system does. Faults that
// overlap may all want a broker down; it runs once none of them does.
type keeper struct {
	broker *cluster.Broker
	say    func(string, ...any)
	begins func(broker int32) // is told of each new life
	end    chan struct{}
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		down   int // faults that want it down
		paused int // faults that want it frozen
		closed bool
		swaps  swaps
	}
}

// newKeeper takes a broker that runs. The caller ends it with close.
func newKeeper(b *cluster.Broker, say func(string, ...any), begins func(broker int32)) *keeper {
	k := &keeper{broker: b, say: say, begins: begins, end: make(chan struct{})}
	k.wg.Go(k.watch)
	return k
}

// watch starts the broker again after it has ended by itself.
func (k *keeper) watch() {
	for {
		select {
		case <-k.end:
			return
		case <-time.After(100 * time.Millisecond):
		}
		if !k.ended() {
			continue
		}
		k.say("broker %d ended by itself: %s", k.broker.ID(), lastLine(k.broker.Log()))
		select {
		case <-k.end:
			return
		case <-time.After(respawn):
		}
		k.mu.Lock()
		if k.endedLocked() { // or a fault that is over has started it meanwhile
			k.startLocked()
		}
		k.mu.Unlock()
	}
}

// ended reports whether a broker that should run does not.
func (k *keeper) ended() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.endedLocked()
}

// endedLocked requires mu.
func (k *keeper) endedLocked() bool {
	if k.mu.down > 0 || k.mu.closed {
		return false
	}
	select {
	case <-k.broker.Exited():
		return true
	default:
		return k.broker.PID() == 0
	}
}

// startLocked requires mu.
func (k *keeper) startLocked() {
	k.broker.Kill() // forgets a process that has ended by itself
	k.begins(k.broker.ID())
	if err := k.broker.Launch(); err != nil {
		k.say("broker %d: %v", k.broker.ID(), err) // watch tries again
		return
	}
	if k.mu.paused > 0 {
		k.broker.Pause()
	}
}

// kill ends the broker until start.
func (k *keeper) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.down++
	k.broker.Kill()
}

// stop ends the broker in order until start. One that does not end is killed, and a fault of the broker; but of Kafka's it is
// known that they wait for ZooKeeper, and for a controller.
func (k *keeper) stop() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.down++
	if k.mu.paused > 0 {
		k.broker.Kill() // it could not end in order
		return nil
	}
	select {
	case <-k.broker.Exited(): // by itself, just now
		return nil
	default:
	}
	err := k.broker.Stop()
	if err != nil && k.broker.Kafka() {
		k.say("%v", err)
		return nil
	}
	return err
}

// swap has the next start of the broker, which is down, be one of the other implementation, and reports whether that is
// Kafka.
func (k *keeper) swap() (kafka bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kafka = !k.broker.Kafka()
	k.broker.SetKafka(kafka)
	k.mu.swaps.note(kafka)
	return kafka
}

// swapped returns how often the broker has become one of the other implementation.
func (k *keeper) swapped() swaps {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.swaps
}

// start undoes kill or stop.
func (k *keeper) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.down--; k.mu.down == 0 && !k.mu.closed {
		k.startLocked()
	}
}

// pause freezes the broker until resume.
func (k *keeper) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.paused++
	k.broker.Pause()
}

func (k *keeper) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.paused--; k.mu.paused == 0 {
		k.broker.Resume()
	}
}

// close ends the broker for good.
func (k *keeper) close() {
	k.mu.Lock()
	k.mu.closed = true
	k.broker.Kill()
	k.mu.Unlock()
	close(k.end)
	k.wg.Wait()
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
