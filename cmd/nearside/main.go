// Command nearside is the matching proxy, and the tools around it.
//
// main wires and exits; each command has a file of its own. A command returns
// an error, which is printed as one line; only main turns it into an exit
// code: 0 done, 1 failed, 2 used wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Serve the API."`
	Import  importCmd  `cmd:"" help:"Send objects or vectors to a server."`
	Export  exportCmd  `cmd:"" help:"Read objects from a server, as lines of JSON."`
	Match   matchCmd   `cmd:"" help:"Look for the nearest faces of a server."`
	Bench   benchCmd   `cmd:"" help:"Measure how fast a server answers."`
	Doctor  doctorCmd  `cmd:"" help:"Look at this machine, and say what to do about it."`
	Config  configCmd  `cmd:"" help:"Check and show the configuration."`
	Plugin  pluginCmd  `cmd:"" help:"Write, check, test and measure plugins."`
	Version versionCmd `cmd:"" help:"Show the version."`
}

// system is what a command has of the outside.
type system struct {
	ctx            context.Context // ends with the first SIGINT or SIGTERM
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string // as of os.Environ
}

// usageError is a fault of the command line itself.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// errReported ends a command that has already said what went wrong.
var errReported = errors.New("reported")

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run runs a command line and returns its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // the second signal ends the process
	helped := false
	parser, err := kong.New(&commands{},
		kong.Name("nearside"),
		kong.Description("A Lua-scripted, high-throughput matching proxy for descriptors."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }), // kong ends the program only after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	if err != nil {
		return report(stderr, err)
	}
	command, err := parser.Parse(args)
	if helped {
		return 0
	}
	if err != nil {
		return report(stderr, usagef("%v (see nearside --help)", err))
	}
	return report(stderr, command.Run(&system{ctx, stdin, stdout, stderr, os.Environ()}))
}

// report prints err, a line for each of its faults, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errReported) {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			_, _ = fmt.Fprintf(stderr, "nearside: %s\n", line) // there is nowhere else to say it
		}
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// isTerminal reports whether w is shown to somebody.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
