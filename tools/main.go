// Gregorctl is the command-line tool of Gregor. Called by the name of one of Kafka's scripts, with or
// without .sh, it is that script:
//
//	gregorctl topics --bootstrap-server localhost:9092 --list
//	ln -s gregorctl kafka-topics.sh && ./kafka-topics.sh --bootstrap-server localhost:9092 --list
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gregor-mq/gregor/tools/apiversions"
	"github.com/gregor-mq/gregor/tools/cluster"
	"github.com/gregor-mq/gregor/tools/configs"
	"github.com/gregor-mq/gregor/tools/consume"
	"github.com/gregor-mq/gregor/tools/dumplog"
	"github.com/gregor-mq/gregor/tools/elect"
	"github.com/gregor-mq/gregor/tools/groups"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/tool"
	"github.com/gregor-mq/gregor/tools/logdirs"
	"github.com/gregor-mq/gregor/tools/offsets"
	"github.com/gregor-mq/gregor/tools/produce"
	"github.com/gregor-mq/gregor/tools/reassign"
	"github.com/gregor-mq/gregor/tools/records"
	"github.com/gregor-mq/gregor/tools/topics"
	"github.com/gregor-mq/gregor/tools/zookeeper"
)

// commands are the tools with the options of Kafka's scripts.
func commands() []*tool.Command {
	return []*tool.Command{
		apiversions.Command(), cluster.Command(), configs.Command(), consume.Command(), dumplog.Command(), elect.Command(), groups.Command(),
		logdirs.Command(), offsets.Command(), produce.Command(), reassign.Command(), records.Command(), topics.Command(),
	}
}

// release is set by the linker to what git says about the checkout.
var release = "unknown"

func main() {
	signal.Ignore(syscall.SIGPIPE) // who reads no more is told by the write that fails
	env := &tool.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now}
	os.Exit(run(context.Background(), env, os.Args))
}

// run runs the command line args, of which the first is the program's name, and returns the exit status.
func run(ctx context.Context, env *tool.Env, args []string) int {
	stdout, stderr := javastring.NewWriter(env.Stdout), javastring.NewWriter(env.Stderr)
	defer stdout.Flush()
	defer stderr.Flush()
	env.Stdout, env.Stderr = stdout, stderr
	name := strings.TrimSuffix(filepath.Base(args[0]), ".sh")
	if command := byScript(name); command != nil {
		return runScript(ctx, env, command, args[1:])
	}
	status := 0
	root := newRoot(env, &status)
	root.SetArgs(args[1:])
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(env.Stderr, "gregorctl: %v\n", err)
		return 1
	}
	return status
}

// byScript returns the command that Kafka calls name; nil if there is none.
func byScript(name string) *tool.Command {
	for _, command := range commands() {
		if command.Script == name {
			return command
		}
	}
	return nil
}

func runScript(ctx context.Context, env *tool.Env, command *tool.Command, args []string) int {
	env.Kafka, env.Name = true, command.Script
	return command.Main(ctx, env, args)
}

// newRoot returns gregorctl's tree of commands; what runs leaves its exit status in status.
func newRoot(env *tool.Env, status *int) *cobra.Command {
	root := &cobra.Command{
		Use:               "gregorctl",
		Short:             "Tools for a Gregor or Kafka cluster",
		Version:           release,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("gregorctl {{.Version}}, with the tools of Kafka " + tool.Version + "\n")
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	for _, command := range commands() {
		root.AddCommand(friendly(env, command, status), script(env, command, status))
	}
	root.AddCommand(zookeeper.Command())
	return root
}

// friendly returns the command "gregorctl topics" for topics.
func friendly(env *tool.Env, command *tool.Command, status *int) *cobra.Command {
	sub := &cobra.Command{
		Use:                command.Name,
		Short:              command.Short,
		DisableFlagParsing: true, // the options are read as Kafka's tools read theirs
		Run: func(cmd *cobra.Command, args []string) {
			env.Name = "gregorctl " + command.Name
			*status = command.Main(cmd.Context(), env, args)
		},
	}
	sub.SetHelpFunc(func(*cobra.Command, []string) { command.PrintHelp(env.Stdout, "gregorctl "+command.Name) })
	return sub
}

// script returns the command "gregorctl kafka-topics", which behaves as Kafka's script of that name.
func script(env *tool.Env, command *tool.Command, status *int) *cobra.Command {
	return &cobra.Command{
		Use:                command.Script,
		Aliases:            []string{command.Script + ".sh"},
		Short:              "Kafka's " + command.Script,
		Hidden:             true,
		DisableFlagParsing: true,
		Run: func(cmd *cobra.Command, args []string) {
			*status = runScript(cmd.Context(), env, command, args)
		},
	}
}
