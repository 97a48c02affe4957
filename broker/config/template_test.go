package config

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write config.toml anew")

const configFile = "../../config.toml"

// TestConfigFile holds config.toml to the table.
func TestConfigFile(t *testing.T) {
	want := Template()
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
	all := regexp.MustCompile(`(?m)^#"`).ReplaceAllString(Template(), `"`)
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
