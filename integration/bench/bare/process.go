package bare

import (
	"errors"
	"net"
)

// A Place is where a server listens, what it writes, and who follows it.
type Place struct {
	Addr, Path string
	Followers  []string // addresses
}

// Run is a process of one or more servers, which begin to listen in their order. It returns when one fails.
func Run(places []Place) error {
	if len(places) == 0 {
		return errors.New("no place to listen")
	}
	failed := make(chan error, len(places))
	for _, p := range places {
		server, err := New(p.Path, p.Followers...)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", p.Addr)
		if err != nil {
			return err
		}
		go func() { failed <- server.Serve(l) }() // ends with the process
	}
	return <-failed
}
