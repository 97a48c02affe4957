package storage

import "time"

// Reconfigure gives every log, future ones too, whose topic has a configuration by config, which returns false for
// the others, that configuration, and returns how many logs those were. Whoever creates logs meanwhile must see to it
// that they get what config says: replica.Manager does.
func (m *Manager) Reconfigure(config func(topic string) (LogConfig, bool)) int {
	n := 0
	for _, d := range m.dirs {
		for _, l := range d.snapshot() {
			if c, ok := config(l.partition.Topic); ok {
				l.SetConfig(c)
				n++
			}
		}
	}
	return n
}

// SetProducerExpiry changes Options.ProducerExpiry. It counts from the next check on.
func (m *Manager) SetProducerExpiry(d time.Duration) { m.env.producerExpiry.Store(d.Milliseconds()) }

// SetRecoveryThreads changes Options.RecoveryThreads for the stop; the start is over.
func (m *Manager) SetRecoveryThreads(n int) { m.threads.Store(int32(max(1, n))) }
