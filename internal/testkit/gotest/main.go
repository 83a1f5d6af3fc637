// Command gotest runs go test with its arguments, prints what go test prints, and
// lists the skipped tests with their reasons at the end. With -v it prints all
// output of all tests.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

func main() {
	code, err := runTests(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	os.Exit(code)
}

// runTests runs go test and returns its exit code.
func runTests(args []string) (code int, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 2, err
	}
	if err := cmd.Start(); err != nil {
		return 2, err
	}
	verbose := slices.ContainsFunc(args, func(arg string) bool { return arg == "-v" || arg == "-v=true" })
	r := newReport(os.Stdout, verbose)
	err = r.readEvents(events)
	r.printSkipped()
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); ok {
		return max(exit.ExitCode(), 1), err
	}
	if err != nil {
		return 2, err
	}
	return 0, nil
}
