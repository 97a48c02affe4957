// Package tool is what the commands of gregorctl have in common: the streams and the name they are run
// with, how they print usage, log lines and errors, and how they end.
//
// A Command is one tool. It is run in one of two manners: as "gregorctl topics", or by the name of
// Kafka's script, as "kafka-topics". The options, the output and the exit status are the same; called
// by Kafka's name, usage and errors too are laid out as Kafka lays them out.
package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/tools/internal/argparse"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Version is the version of Kafka whose tools these are.
const Version = "3.9.2"

// Env is what a command runs with. Connections log while the command prints, so Stderr must take
// concurrent writes.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time
	Name           string // as the user called it: "gregorctl topics" or "kafka-topics"
	Kafka          bool   // called by the name of Kafka's script
}

// Command is one tool.
type Command struct {
	Name     string // after gregorctl: "topics"
	Script   string // Kafka's name, without .sh: "kafka-topics"
	Short    string // one line: "Create, list, describe, change and delete topics"
	About    string // what Kafka prints above the options for --help
	Synopsis string // what follows the name; "" stands for --bootstrap-server HOST:PORT [option]...
	Examples string // a few command lines, each starting with NAME
	Options  *jopt.Parser

	// Arguments stand for Options in a tool whose command line has subcommands, and RunArguments for Run.
	Arguments    *argparse.Parser
	RunArguments func(ctx context.Context, env *Env, given *argparse.Set) error

	// Run does the work and returns nil, or an error for Fail.
	Run func(ctx context.Context, env *Env, options *jopt.Set) error
	// Fail reports an error of Run, or of the command line, and returns the exit status; nil: Failed.
	Fail func(env *Env, c *Command, err error) int
	// Empty is printed above the options if there are no arguments at all; "": as About, once the
	// command line has been read.
	Empty string
}

// Exit is an error that only sets the exit status: all has been said already.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Usage is an error of the command line that is answered with the list of options.
type Usage struct{ Message string }

func (u *Usage) Error() string { return u.Message }

// Usagef returns a Usage error.
func Usagef(format string, args ...any) error { return &Usage{fmt.Sprintf(format, args...)} }

// Main runs the command and returns its exit status.
func (c *Command) Main(ctx context.Context, env *Env, args []string) int {
	err := c.run(ctx, env, args)
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[Exit](err); ok {
		return int(exit)
	}
	if usage, ok := errors.AsType[*Usage](err); ok {
		return c.Usage(env, usage.Message)
	}
	if c.Fail == nil {
		return Failed(env, c, err)
	}
	return c.Fail(env, c, err)
}

func (c *Command) run(ctx context.Context, env *Env, args []string) error {
	if !env.Kafka && len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		c.PrintHelp(env.Stdout, env.Name)
		return nil
	}
	if c.Arguments != nil {
		return c.runArguments(ctx, env, args)
	}
	if len(args) == 0 && (c.Empty != "" || !env.Kafka) {
		return &Usage{c.Empty}
	}
	options, err := c.Options.Parse(args)
	switch {
	case err != nil:
		return err
	case len(args) == 0 || options.Has("help"):
		return &Usage{c.About}
	case options.Has("version"):
		fmt.Fprintln(env.Stdout, Version)
		return nil
	}
	return c.Run(ctx, env, options)
}

// runArguments is run for a tool with subcommands. Wrong command lines and help are worded alike in both
// manners.
func (c *Command) runArguments(ctx context.Context, env *Env, args []string) error {
	given, err := c.Arguments.Parse(args)
	if help, ok := errors.AsType[*argparse.Help](err); ok {
		help.Print(env.Stdout)
		return Exit(1)
	}
	if wrong, ok := errors.AsType[*argparse.Error](err); ok {
		wrong.Print(env.Stderr)
		return Exit(1)
	}
	return c.RunArguments(ctx, env, given)
}

// Failed prints the message of err, and called by Kafka's name also its class and causes.
func Failed(env *Env, c *Command, err error) int {
	fmt.Fprintln(env.Stderr, throwable.From(err).Message)
	if env.Kafka {
		fmt.Fprintln(env.Stderr, throwable.Trace(err)) // with an empty line at the end, as Kafka has it
	} else if _, ok := errors.AsType[*jopt.Error](err); ok {
		fmt.Fprintf(env.Stderr, "%s --help lists the options.\n", env.Name)
	}
	return 1
}

// Uncaught is Failed for a tool of Kafka's that does not catch the error: called by Kafka's name, it is printed as a JVM prints
// what ends its main thread.
func Uncaught(env *Env, c *Command, err error) int {
	if !env.Kafka {
		return Failed(env, c, err)
	}
	fmt.Fprint(env.Stderr, `Exception in thread "main" `, throwable.Trace(err))
	return 1
}

// Usage answers a wrong command line, as Kafka does or with a pointer to the help, and returns the exit
// status.
func (c *Command) Usage(env *Env, message string) int {
	switch {
	case env.Kafka:
		fmt.Fprintln(env.Stderr, message)
		c.Options.PrintHelp(env.Stderr)
	case message == "" || message == c.Empty || message == c.About:
		c.PrintHelp(env.Stderr, env.Name)
	default:
		fmt.Fprintf(env.Stderr, "%s\n%s --help lists the options.\n", strings.TrimSpace(message), env.Name)
	}
	return 1
}

// PrintHelp writes the help of "gregorctl NAME --help".
func (c *Command) PrintHelp(w io.Writer, name string) {
	fmt.Fprintf(w, "%s.\n\nUsage:\n  %s %s\n", c.Short, name, cmp.Or(c.Synopsis, "--bootstrap-server HOST:PORT [option]..."))
	if c.Examples != "" {
		fmt.Fprintf(w, "\nExamples:\n")
		for line := range strings.Lines(c.Examples) {
			fmt.Fprintf(w, "  %s", strings.Replace(line, "NAME", name, 1))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\nOptions:\n")
	if c.Arguments != nil {
		c.Arguments.PrintHelp(w)
	} else {
		c.Options.PrintHelp(w)
	}
	fmt.Fprintf(w, "\nThe options are those of Kafka's %s. Called by that name, through a symbolic link or as\n"+
		"gregorctl %s, the command also words its errors as Kafka does.\n", c.Script, c.Script)
}

// Log writes a line as Kafka's tools log it, to standard error. class is the Java class that logs.
func (e *Env) Log(level, class, message string) {
	io.WriteString(e.Stderr, e.line(level, class, message))
}

// LogError writes a line as Kafka's tools log it with an exception: the trace stands below the line.
func (e *Env) LogError(class, message string, err error) {
	fmt.Fprintf(e.Stderr, "%s%s", e.line("ERROR", class, message), throwable.Trace(err))
}

// LogWarning is LogError for what the tool goes on after.
func (e *Env) LogWarning(class, message string, err error) {
	fmt.Fprintf(e.Stderr, "%s%s", e.line("WARN", class, message), throwable.Trace(err))
}

func (e *Env) line(level, class, message string) string {
	return fmt.Sprintf("[%s] %s %s (%s)\n", e.Now().Format("2006-01-02 15:04:05,000"), level, message, class)
}

// ReadFile reads a file that an option names, with Kafka's words for one that cannot be read.
func ReadFile(path string) ([]byte, error) {
	data, err := os.ReadFile(cmp.Or(path, ".")) // to Java, the empty path is the working directory
	if err != nil {
		return nil, &throwable.Exception{Class: throwable.IO, Message: "Unable to read file " + path, Cause: throwable.From(err)}
	}
	return data, nil
}

// CheckRequired returns a Usage error naming the first of names that was not given.
func CheckRequired(options *jopt.Set, names ...string) error {
	for _, name := range names {
		if !options.Has(name) {
			return Usagef("Missing required argument \"[%s]\"", name)
		}
	}
	return nil
}

// CheckExcluded returns a Usage error if used was given together with one of excluded.
func CheckExcluded(options *jopt.Set, used string, excluded ...string) error {
	if !options.Has(used) {
		return nil
	}
	for _, name := range excluded {
		if options.Has(name) {
			return Usagef("Option \"[%s]\" can't be used with option \"[%s]\"", used, name)
		}
	}
	return nil
}
