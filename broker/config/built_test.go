package config

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestBuiltPropertiesAreRead looks for the names of properties in the broker's code: what the table
// calls built must be read somewhere, and what it says has no effect must not be.
func TestBuiltPropertiesAreRead(t *testing.T) {
	read := make(map[string]bool)
	for _, dir := range []string{"..", "../../controller"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && isSource(path) && filepath.Dir(path) != "../config" {
				addLiterals(t, path, read)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"getters.go", "password.go", "dynamic_store.go"} {
		addLiterals(t, file, read)
	}
	for p := range Properties() {
		switch inCode := read[p.Name] || inTopics(p.Name) || slices.Contains(derivedFrom, p.Name); {
		case p.Status == Built && !inCode:
			t.Errorf("%s is called built, and nothing reads it", p.Name)
		case p.Status == NoEffect && read[p.Name]:
			t.Errorf("%s is said to have no effect, and something reads it", p.Name)
		}
	}
}

// derivedFrom are the properties that are read when a configuration is checked, into values of its own,
// or read in another way than by their whole name.
var derivedFrom = []string{
	"listeners", "advertised.listeners", "listener.security.protocol.map", "inter.broker.listener.name",
	"security.inter.broker.protocol", "max.connections.per.ip.overrides", "node.id", "broker.id.generation.enable",
	// these are asked for by their prefix
	"offsets.topic.num.partitions", "offsets.topic.replication.factor", "offsets.topic.segment.bytes",
	"transaction.state.log.num.partitions", "transaction.state.log.replication.factor", "transaction.state.log.segment.bytes",
}

// isSource leaves out tests.
func isSource(path string) bool {
	return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
}

func addLiterals(t *testing.T, path string, literals map[string]bool) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile(path, -1, len(source)), source, nil, 0)
	for {
		_, tok, text := s.Scan()
		if tok == token.EOF {
			return
		}
		if tok == token.STRING {
			if value, err := strconv.Unquote(text); err == nil {
				literals[value] = true
			}
		}
	}
}

// inTopics reports whether a property of the broker is the default of one of topics that is built.
func inTopics(name string) bool {
	for i := range topicProperties {
		if p := &topicProperties[i]; p.Status == Built && slices.Contains(serverNames(p), name) {
			return true
		}
	}
	return false
}
