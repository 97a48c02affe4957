package integration

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gregor-mq/gregor/"

// layers lists our packages from the top down: a package imports only what stands in a later row.
// Packages in one row do not know each other.
var layers = [][]string{
	{"broker", "tools"},
	{"broker/server"},
	{"broker/network", "broker/api/produce", "broker/api/fetch", "broker/api/offsets", "broker/api/discovery",
		"broker/api/admin", "broker/api/transactions", "broker/api/control", "broker/api/groups", "broker/api/security",
		"broker/replica/fetcher", "broker/replica/propagate", "broker/replica/dirmover", "controller"},
	{"controller/vigil", "broker/coordinator", "broker/verifier"},
	{"broker/api/status", "broker/api/hint", "broker/api/repeat", "controller/assign", "broker/interbroker"},
	{"broker/replica", "broker/metadata", "broker/wire", "broker/config"},
	{"broker/storage", "zkutil", "broker/logger"},
	{"broker/storage/compact"},
	{"broker/storage/segment", "broker/storage/checkpoint", "broker/storage/producer"},
	{"broker/storage/epoch", "broker/storage/vfs", "broker/record", "broker/purgatory", "broker/request",
		"broker/replica/isr", "broker/quota", "broker/coordinator/group"},
	{"broker/topic", "broker/auth", "broker/properties"},
	{"broker/excerpt"},
}

// forbidden names what a package must not know although it stands above it.
var forbidden = map[string][]string{
	"broker/storage": {"github.com/twmb/franz-go", "github.com/go-zookeeper", module + "zkutil"},
	"broker/replica": {"github.com/twmb/franz-go", "github.com/go-zookeeper", module + "zkutil", module + "broker/config"},
	"broker/record":  {"github.com/twmb/franz-go", "github.com/go-zookeeper"},
	"broker/network": {module + "broker/config", module + "broker/replica"},
	"controller":     {module + "broker/config", module + "broker/storage", module + "broker/replica"},
	"zkutil":         {"github.com/twmb/franz-go", module + "broker/config"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Doc        string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func layer(name string) int {
	return slices.IndexFunc(layers, func(row []string) bool { return slices.Contains(row, name) })
}

// TestImportsGoDownwards holds the layout of ARCHITECTURE.md.
func TestImportsGoDownwards(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		at := layer(name)
		if at < 0 && strings.HasPrefix(name, "broker/") && !strings.Contains(name, "/internal/") {
			t.Errorf("%s has no place in the layout: add it to ARCHITECTURE.md and to layers", name)
		}
		for _, imported := range p.Imports {
			for _, no := range forbidden[name] {
				if strings.HasPrefix(imported, no) {
					t.Errorf("%s must not import %s", name, imported)
				}
			}
			below := layer(strings.TrimPrefix(imported, module))
			if at >= 0 && below >= 0 && below <= at {
				t.Errorf("%s imports %s, which does not stand below it", name, strings.TrimPrefix(imported, module))
			}
		}
	}
}

// TestPackagesAreDocumented keeps every package's doc comment readable for go doc.
func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package doc", strings.TrimPrefix(p.ImportPath, module))
		}
	}
}
