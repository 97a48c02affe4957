package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// Ports for servers lie below the range that the kernel takes for outgoing connections (32768 and up), so that a server
// which is stopped finds its port free when it is started again. A process takes them in blocks.
const (
	firstPort  = 15_000
	portBlock  = 50
	portBlocks = 340
)

// ports are those of the blocks that this process has taken. A block is taken by a socket with its name in the
// abstract namespace, which goes with the process.
var ports struct {
	sync.Mutex
	taken []net.Listener // one for each block
	all   []int
	left  []int // not given out yet
}

// FreePort returns a TCP port of 127.0.0.1 that nobody uses, and that no other call of any process returns before long: whoever is to
// use it may take its time, and may be stopped and started again.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range portBlocks * portBlock {
		if len(ports.left) == 0 {
			if err := takePorts(); err != nil {
				return 0, err
			}
		}
		port := ports.left[0]
		ports.left = ports.left[1:]
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// takePorts takes another block or, if none is left, begins again with those that it has. It requires ports' lock.
func takePorts() error {
	for _, block := range rand.Perm(portBlocks) {
		l, err := net.Listen("unix", fmt.Sprintf("@gregor-test-ports-%d", block))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return fmt.Errorf("take ports: %w", err)
		}
		ports.taken = append(ports.taken, l)
		for i := range portBlock {
			ports.left = append(ports.left, firstPort+block*portBlock+i)
		}
		ports.all = append(ports.all, ports.left...)
		return nil
	}
	if len(ports.all) == 0 {
		return errors.New("other processes have taken all ports")
	}
	ports.left = slices.Clone(ports.all)
	return nil
}
