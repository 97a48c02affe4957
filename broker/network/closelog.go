package network

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// A listener writes at most closeLogBurst lines in closeLogWindow about connections that it closes,
// so that a flood of bad clients does not become a flood of lines.
const (
	closeLogBurst  = 20
	closeLogWindow = 10 * time.Second
)

// closeLog writes why connections of one listener are closed.
type closeLog struct {
	log logrus.FieldLogger

	mu struct {
		sync.Mutex
		since      time.Time
		lines      int
		suppressed int
	}
}

func newCloseLog(log logrus.FieldLogger) *closeLog { return &closeLog{log: log} }

// allow reports whether a line may be written now, and how many were not before it.
func (l *closeLog) allow(now time.Time) (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.mu.since) >= closeLogWindow {
		l.mu.since, l.mu.lines = now, 0
	}
	if l.mu.lines >= closeLogBurst {
		l.mu.suppressed++
		return false, 0
	}
	l.mu.lines++
	suppressed, l.mu.suppressed = l.mu.suppressed, 0
	return true, suppressed
}

// entry returns the logger for a line about remote, nil if there were too many.
func (l *closeLog) entry(remote netip.AddrPort) logrus.FieldLogger {
	ok, suppressed := l.allow(time.Now())
	if !ok {
		return nil
	}
	log := l.log.WithField("client", remote.String())
	if suppressed > 0 {
		log = log.WithField("suppressed", suppressed)
	}
	return log
}

// rejected says why a connection was closed right after it was accepted.
func (l *closeLog) rejected(remote netip.AddrPort, why string) {
	if log := l.entry(remote); log != nil {
		log.Info("Rejected connection: " + why)
	}
}

// closed says why c was closed: what the client did wrong, or a panic. Everything else is ordinary.
func (l *closeLog) closed(c *conn, reason error) {
	var protocol *protocolError
	var panicked *panicError
	switch {
	case errors.As(reason, &panicked):
		// A fault of ours: never suppressed.
		l.log.WithField("client", c.info.Remote.String()).WithField("error", panicked.value).
			Errorf("Closed connection %s after a panic\n%s", c.info.ID, panicked.stack)
	case errors.As(reason, &protocol):
		if log := l.entry(c.info.Remote); log != nil {
			log.WithField("error", reason).Warn("Closed connection " + c.info.ID)
		}
	case errors.Is(reason, io.EOF), errors.Is(reason, net.ErrClosed), errors.Is(reason, errStopped):
	default:
		l.log.WithField("client", c.info.Remote.String()).WithField("error", reason).Debug("Closed connection " + c.info.ID)
	}
}
