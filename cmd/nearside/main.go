// Command nearside is the matching server with its command line tools.
//
// Each command has its own file. A command returns an error; main prints it and turns
// it into an exit code: 0 done, 1 failed, 2 wrong usage, 130 and 143 if SIGINT or
// SIGTERM ended it early.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"nearside/matcher"
)

// commands is the command line.
type commands struct {
	Serve     serveCmd     `cmd:"" help:"Serve the API."`
	Import    importCmd    `cmd:"" help:"Send objects or vectors to a server."`
	Export    exportCmd    `cmd:"" help:"Write the objects of a server as lines of JSON."`
	Match     matchCmd     `cmd:"" help:"Find the nearest objects on a server."`
	List      listCmd      `cmd:"" help:"Read and write lists on a server."`
	Face      objectCmd    `cmd:"" help:"Read and write faces on a server."`
	Event     objectCmd    `cmd:"" help:"Read and write events on a server."`
	Attribute attributeCmd `cmd:"" help:"Read and write attributes on a server."`
	Snapshot  snapshotCmd  `cmd:"" help:"Make, verify and restore snapshots of a data directory."`
	Erase     eraseCmd     `cmd:"" help:"Erase objects on a server, and prove that no file has them."`
	Bench     benchCmd     `cmd:"" help:"Measure how fast a server answers."`
	Doctor    doctorCmd    `cmd:"" help:"Check this machine and suggest fixes."`
	Config    configCmd    `cmd:"" help:"Check and print the configuration."`
	Key       keyCmd       `cmd:"" help:"Make and check keys."`
	Audit     auditCmd     `cmd:"" help:"Check and print the audit."`
	Plugin    pluginCmd    `cmd:"" help:"Write, check, test and measure plugins."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// newCommands returns the command line before it is parsed.
func newCommands() *commands {
	return &commands{Face: newObjectCmd(matcher.Faces), Event: newObjectCmd(matcher.Events), Attribute: newAttributeCmd()}
}

// system is the environment of a command.
type system struct {
	ctx            context.Context // ends with the first SIGINT or SIGTERM
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string // as in os.Environ
}

// usageError is a fault in the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// errReported is the error of a command that has already printed what went wrong.
var errReported = errors.New("reported")

func main() { os.Exit(runCommand(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// runCommand runs a command line and returns its exit code.
func runCommand(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signalContext()
	defer stop()
	helpPrinted := false
	parser, err := kong.New(newCommands(),
		kong.Name("nearside"),
		kong.Description("A Lua-scripted, high-throughput matching server for descriptors."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helpPrinted = true }), // kong exits only after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	if err != nil {
		return report(stderr, err)
	}
	command, err := parser.Parse(args)
	if helpPrinted {
		return 0
	}
	if err != nil {
		// Kong names the empty value of a flag that was not given, too.
		text := strings.Replace(err.Error(), `must be one of "",`, "must be one of ", 1)
		return report(stderr, usagef("%s (see nearside --help)", text))
	}
	code := report(stderr, command.Run(&system{ctx, stdin, stdout, stderr, os.Environ()}))
	if by, ok := interruptedBy(ctx); ok && code != 0 {
		return by.exitCode()
	}
	return code
}

// report prints err, one line for each fault, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errReported) {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			_, _ = fmt.Fprintf(stderr, "nearside: %s\n", line) // an error of stderr cannot be reported anywhere
		}
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
