package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write config.toml anew")

const configFile = "../../config.toml"

const templateHead = `# Configuration of a Gregor broker: gregor config.toml
#
# This file names every property that Gregor acts on, with its default, in Kafka's words. To change
# one, remove the # and write another value; "not set" is the default of those without one. Names are
# quoted because they hold dots, and several values are an array, or a string with commas in it.
# A Kafka server.properties works in place of this file.
#
# Made from the table in broker/config by "make generate"; do not edit the lines here.
`

// template returns the text of config.toml: every property that is acted on and may stand in a file, commented out with its
// default. Only zookeeper.connect, which has none, is set.
func template() string {
	var b strings.Builder
	b.WriteString(templateHead)
	for _, s := range sections {
		head := false
		for i := range s.properties {
			p := &s.properties[i]
			if p.Status != Built || p.Scope == DynamicOnly {
				continue
			}
			if !head {
				fmt.Fprintf(&b, "\n\n# ---- %s ----\n", s.heading)
				head = true
			}
			fmt.Fprintf(&b, "\n# %s\n%s\n", p.Doc, p.assignment())
		}
	}
	return b.String()
}

// assignment returns the line that sets p to its default.
func (p *Property) assignment() string {
	switch {
	case p.Name == "zookeeper.connect":
		return fmt.Sprintf("%q = %q", p.Name, DefaultZooKeeper)
	case !p.HasDefault():
		return fmt.Sprintf("#%q = # not set", p.Name)
	}
	switch p.Type {
	case Bool, Short, Int, Long, Double:
		return fmt.Sprintf("#%q = %s", p.Name, strings.ReplaceAll(p.Default, "E", "e+"))
	}
	return fmt.Sprintf("#%q = %q", p.Name, p.Default)
}

// TestConfigFile holds config.toml to the table.
func TestConfigFile(t *testing.T) {
	want := template()
	if *update {
		if err := os.WriteFile(configFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("config.toml is not what the table says; make generate writes it anew:\n%s", diff)
	}
}

// TestConfigFileHoldsDefaults removes every # from the file, as its head says one may, and expects
// that this changes nothing.
func TestConfigFileHoldsDefaults(t *testing.T) {
	all := regexp.MustCompile(`(?m)^#"`).ReplaceAllString(template(), `"`)
	all = regexp.MustCompile(`(?m)^.*# not set\n`).ReplaceAllString(all, "")
	set, err := Parse("all.toml", []byte(all))
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := New(set)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	defaults, _, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults.values, c.values); diff != "" {
		t.Error(diff)
	}
}
