package integration

import (
	"time"
)

// maxTries is how often a broker gets the chance to become the controller, a few seconds each.
const maxTries = 30

// enthrone makes a broker the controller. It waits for the others' brokers to be silent meanwhile, since the one that is
// quickest to notice wins, which is hardly ever Kafka.
func (a *arena) enthrone(id int32) {
	a.t.Helper()
	for tries := 0; a.Controller() != id; tries++ {
		if tries == maxTries {
			a.t.Fatalf("broker %d does not become the controller", id)
		}
		a.alone(id, 0, func() { a.DeleteController() })
	}
	a.AwaitBrokers()
}

// alone does something that ends the rule of a controller, while all others are silent but the one that is to come next.
func (a *arena) alone(id, but int32, do func()) {
	a.t.Helper()
	_, before, _ := a.zk.ControllerEpoch(a.t.Context())
	for _, b := range a.Brokers() {
		if b.ID() != id && b.ID() != but && b.PID() != 0 {
			b.Pause()
			defer b.Resume()
		}
	}
	do()
	// Shorter than a session: nobody is to be lost who is only silenced.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, now, err := a.zk.ControllerEpoch(a.t.Context()); err == nil && now != before {
			return
		}
	}
}

// strike has the controller suffer what is planned, and returns what ends it.
func (a *arena) strike(r race) (heal func()) {
	victim := a.Controller()
	end := func() {}
	if r.blow != abdicated {
		a.harmed[victim] = true
	}
	hit := func() {
		switch r.blow {
		case killed:
			a.Kill(victim)
			if r.prompt {
				a.EndSession(victim)
			}
			end = func() {
				a.EndSession(victim) // a Kafka broker does not start before
				a.Restart(victim)
			}
		case frozen:
			a.Pause(victim)
			a.EndSession(victim)
			end = func() { a.Resume(victim) }
		case abdicated:
			a.DeleteController()
		case expired:
			a.ExpireSession(victim)
		}
	}
	switch {
	case r.successor == 0 || r.successor == victim:
		hit()
	case r.blow == abdicated: // it would be the first to notice, and rule on; now it believes for a while that it does
		a.alone(r.successor, 0, hit)
	default:
		a.alone(r.successor, victim, hit)
	}
	return func() {
		a.t.Helper()
		end()
		a.AwaitBrokers()
	}
}
