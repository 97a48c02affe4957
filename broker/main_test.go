package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram names the variable in the environment that makes the test binary the broker program.
const asProgram = "GREGOR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A broker whose standard output leads to a program that has ended goes on: here, until it has not found ZooKeeper.
func TestUnreadLogStopsNoBroker(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	program := exec.Command(os.Args[0], "--override", "zookeeper.connect=127.0.0.1:1", "--override", "zookeeper.connection.timeout.ms=1",
		"--override", "log.dirs="+t.TempDir())
	program.Env = append(os.Environ(), asProgram+"=1")
	program.Stdout, program.Stderr = w, w
	if program.Run(); program.ProcessState.ExitCode() != 1 {
		t.Errorf("%v", program.ProcessState)
	}
}

func TestArguments(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "wrong.toml")
	if err := os.WriteFile(wrong, []byte("\"num.partitions\" = 0\n\"num.io.threads\" = \"many\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string // parts of what is printed
	}{
		{name: "help", args: []string{"--help"}, stdout: []string{"gregor [FILE] [--override name=value ...]", "server.properties"}},
		{name: "version", args: []string{"--version"}, stdout: []string{"gregor ", "Apache Kafka 3.9"}},
		{name: "unknown flag", args: []string{"--port", "1"}, status: 1, stderr: []string{"unknown flag: --port", "gregor --help"}},
		{name: "two files", args: []string{"a", "b"}, status: 1, stderr: []string{"gregor --help"}},
		{name: "no such file", args: []string{"/nowhere/broker.toml"}, status: 1, stderr: []string{"/nowhere/broker.toml: no such file"}},
		{name: "override without value", args: []string{"--override", "broker.id"}, status: 1, stderr: []string{`"broker.id" is not of the form name=value`}},
		{name: "wrong values", args: []string{wrong}, status: 1, stderr: []string{
			"Invalid value 0 for configuration num.partitions: Value must be at least 1",
			"Invalid value many for configuration num.io.threads: Not a number of type INT"}},
		{name: "not built", args: []string{"--override", "process.roles=broker"}, status: 1, stderr: []string{"process.roles=broker is not supported"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := execute(tt.args, &stdout, &stderr); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			for _, part := range tt.stdout {
				if !strings.Contains(stdout.String(), part) {
					t.Errorf("standard output lacks %q:\n%s", part, &stdout)
				}
			}
			for _, part := range tt.stderr {
				if !strings.Contains(stderr.String(), part) {
					t.Errorf("standard error lacks %q:\n%s", part, &stderr)
				}
			}
		})
	}
}
