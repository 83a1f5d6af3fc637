package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is a line of `go test -json`; `go doc test2json` has the fields. Events of
// a package have no Test.
type event struct {
	Action, Package, Test, Output string
}

// report turns events into text.
type report struct {
	out     io.Writer
	verbose bool
	output  map[testName]*strings.Builder // of tests that have not ended, and of their packages
	skipped []string
}

// testName names a test, or a package when test is empty.
type testName struct{ pkg, test string }

func newReport(out io.Writer, verbose bool) *report {
	return &report{out: out, verbose: verbose, output: map[testName]*strings.Builder{}}
}

// readEvents reports all events. Lines that are not events are printed as they are.
func (r *report) readEvents(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) > 0 && json.Unmarshal(line, &e) == nil:
			r.reportEvent(e)
		default:
			r.print(string(line))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// print writes to standard output, where an error cannot be reported.
func (r *report) print(text string) { _, _ = io.WriteString(r.out, text) }

func (r *report) reportEvent(e event) {
	name := testName{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		r.print(e.Output)
	case "output":
		if r.verbose {
			r.print(e.Output)
		}
		if r.output[name] == nil {
			r.output[name] = &strings.Builder{}
		}
		r.output[name].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
	}
}

// progress matches the lines that only verbose output has.
var progress = regexp.MustCompile(`(?m)^=== (RUN|PAUSE|CONT|NAME) .*\n`)

// takeOutput returns the output of a test or package so far and forgets it.
func (r *report) takeOutput(name testName) string {
	text := r.output[name]
	delete(r.output, name)
	if text == nil {
		return ""
	}
	return progress.ReplaceAllString(text.String(), "")
}

func (r *report) endTest(e event) {
	text := r.takeOutput(testName{e.Package, e.Test})
	switch {
	case e.Action == "skip":
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, skipReason(text)))
	case e.Action == "fail" && !r.verbose:
		r.print(text)
	}
}

// endPackage prints the result of a package. When it failed, this includes the
// output of tests that did not end, because one of them may have panicked.
func (r *report) endPackage(e event) {
	text := r.takeOutput(testName{e.Package, ""})
	var unfinished []testName
	for name := range r.output {
		if name.pkg == e.Package {
			unfinished = append(unfinished, name)
		}
	}
	slices.SortFunc(unfinished, func(a, b testName) int { return strings.Compare(a.test, b.test) })
	for _, name := range unfinished {
		rest := r.takeOutput(name)
		if e.Action == "fail" && !r.verbose {
			r.print(rest)
		}
	}
	switch {
	case r.verbose:
	case e.Action == "fail":
		r.print(text)
	default:
		r.print(lastLine(text)) // ok, or [no test files]
	}
}

// lastLine returns the last line of text with its line feed.
func lastLine(text string) string {
	return text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
}

// logged matches a logged line: its file and line, and the text.
var logged = regexp.MustCompile(`(?m)^ +\S+\.go:\d+: (.*)$`)

// skipReason returns the last text that a skipped test logged.
func skipReason(output string) string {
	all := logged.FindAllStringSubmatch(output, -1)
	if len(all) == 0 {
		return "no reason given"
	}
	return all[len(all)-1][1]
}

// printSkipped lists the skipped tests.
func (r *report) printSkipped() {
	if len(r.skipped) == 0 {
		return
	}
	slices.Sort(r.skipped)
	r.print(fmt.Sprintf("\n%d skipped:\n", len(r.skipped)))
	for _, line := range r.skipped {
		r.print("  " + line + "\n")
	}
}
