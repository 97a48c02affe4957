package vigil

import (
	"errors"
	"io"
	"syscall"
)

// outcome is what an attempt to reach a process has shown.
type outcome int8

const (
	answered outcome = iota // it has answered on a new connection
	closed                  // its system has closed a connection that had been answered
	refused                 // all its listeners refuse connections
	cutShort                // a listener is there still, without an answer: the process may be about to end, or full
	unclear                 // anything else, a time-out above all
)

// sight is what is known of one process.
type sight struct {
	closed bool // the last connection that was answered was closed by the process's system, and nothing doubtful has happened since
	gone   bool // the process is gone
}

// after returns what is known after o.
func (s sight) after(o outcome) sight {
	switch o {
	case answered:
		return sight{}
	case closed:
		s.closed = true
	case refused:
		s.gone = s.gone || s.closed
	case unclear:
		s.closed = false
	}
	return s
}

// ended says what the end of a connection that had been answered shows.
func ended(err error) outcome {
	if bySystem(err) {
		return closed
	}
	return unclear
}

// failed says what the failure to open a connection shows; dialled tells that it was open, and only the answer failed.
func failed(err error, dialled bool) outcome {
	switch {
	case !dialled && errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case dialled && bySystem(err):
		return cutShort
	}
	return unclear
}

// bySystem reports whether the peer's system has closed a connection.
func bySystem(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
