package system

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"

	"github.com/gregor-mq/gregor/integration/bench/bare"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// BareFlag is the first argument with which the benchmark's own program is the bare one; its places follow, in
// JSON.
const BareFlag = "-bare-program"

// NewBare prepares the bare program.
func NewBare(dir string) (*Program, error) {
	all, err := NewBareCluster(dir)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// NewBareCluster prepares a bare program for each directory. What is sent to one of them all the others keep
// as well, in files apart, as brokers keep partitions.
func NewBareCluster(dirs ...string) ([]*Program, error) {
	all := make([]*Program, len(dirs))
	leaders := make([]bare.Place, len(dirs))
	for i, dir := range dirs {
		p, err := newProgram("the bare program", dir)
		if err != nil {
			return nil, err
		}
		p.id, all[i] = i+1, p
		leaders[i] = p.place(p.Addr(), p.Data())
	}
	places := make([][]bare.Place, len(dirs)) // by program
	for i := range leaders {
		for j, p := range all {
			if i == j {
				continue
			}
			port, err := cluster.FreePort()
			if err != nil {
				return nil, err
			}
			copies := p.place(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), fmt.Sprintf("%s-of-%d", p.Data(), i+1))
			places[j] = append(places[j], copies)
			leaders[i].Followers = append(leaders[i].Followers, copies.Addr)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for i, p := range all {
		// The leader comes last: whoever can connect to it can connect to the followers in this process.
		text, err := json.Marshal(append(places[i], leaders[i]))
		if err != nil {
			return nil, err
		}
		p.command = func() (*exec.Cmd, error) { return exec.Command(self, BareFlag, string(text)), nil }
	}
	return all, nil
}

func (p *Program) place(addr, path string) bare.Place {
	p.files = append(p.files, path)
	return bare.Place{Addr: addr, Path: path}
}

// Kept returns how many bytes the bare program has in its files.
func (p *Program) Kept() (int64, error) {
	sum := int64(0)
	for _, path := range p.files {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}

// Empty empties the files of the bare program.
func (p *Program) Empty() error {
	for _, path := range p.files {
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
	}
	return nil
}
