package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Root returns the top directory of the checkout that the test runs in.
func Root() (string, error) {
	output, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	mod := strings.TrimSpace(string(output))
	if !filepath.IsAbs(mod) || filepath.Base(mod) != "go.mod" {
		return "", errors.New("find the checkout: no go.mod around the working directory")
	}
	return filepath.Dir(mod), nil
}

// Binary builds gregor or gregorctl from the checkout and returns the path of the program. With
// GREGOR_RACE=1 it has the race detector. GREGOR_BIN names a directory of programs to be used as
// they are.
func Binary(name string) (string, error) {
	if dir := os.Getenv("GREGOR_BIN"); dir != "" {
		return filepath.Abs(filepath.Join(dir, name))
	}
	built.Lock()
	defer built.Unlock()
	if path, ok := built.path[name]; ok {
		return path, nil
	}
	path, err := build(name)
	if err == nil {
		built.path[name] = path
	}
	return path, err
}

var built = struct {
	sync.Mutex
	path map[string]string
}{path: make(map[string]string)}

// packages are the main packages of the programs.
var packages = map[string]string{"gregor": "./broker", "gregorctl": "./tools"}

// build leaves the program in the checkout, where the next process finds it up to date. A lock
// keeps the test processes of one checkout from building it at the same time.
func build(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, flags := filepath.Join(root, ".gregor", "test", "bin"), []string{"build"}
	if os.Getenv("GREGOR_RACE") != "" {
		dir, flags = filepath.Join(root, ".gregor", "test", "race"), append(flags, "-race")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", append(flags, "-o", path, packages[name])...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return path, nil
}
