package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"nearside/lua/trial"
	"nearside/lua/vm"
)

type pluginProfileCmd struct {
	Plugin  string  `arg:"" help:"Name or path of a plugin."`
	Seconds float64 `help:"How long the hooks are called." default:"10"`
	Rows    int     `help:"Faces in the candidate set of a matching plugin." default:"10000"`
	Lines   int     `help:"Lines to show." default:"20"`
	JSON    bool    `help:"Print JSON."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginProfileCmd) Help() string {
	return `Example:

    nearside plugin profile influx --seconds 5

It calls the hooks as "plugin bench" does, and samples the line that runs. The time of a line includes the library functions that it calls, but not the Lua functions, whose lines are counted by themselves. It is computed from the work that budgets count, so a busy machine does not change it.`
}

// profiled is one line in JSON.
type profiled struct {
	Line    string  `json:"line"`
	Share   float64 `json:"share"`
	Seconds float64 `json:"seconds"`
	Source  string  `json:"source"`
}

// Run prints the most expensive lines.
func (c *pluginProfileCmd) Run(s *system) error {
	if !(c.Seconds > 0 && c.Seconds <= 600) {
		return usagef("--seconds: must be above 0 and at most 600, got %v", c.Seconds)
	}
	if c.Rows < 1 || c.Rows > 1_000_000 {
		return usagef("--rows: must be an integer from 1 to 1000000, got %d", c.Rows)
	}
	if c.Lines < 1 {
		return usagef("--lines: must be at least 1, got %d", c.Lines)
	}
	o, err := c.options(s)
	if err != nil {
		return err
	}
	t := targetOf(o, c.Plugin)
	lines, err := trial.Profile(s.ctx, t.options, t.name, c.Rows, time.Duration(c.Seconds*float64(time.Second)))
	if s.ctx.Err() != nil {
		err = context.Cause(s.ctx)
	}
	if err != nil && len(lines) == 0 {
		return err
	}
	return errors.Join(err, c.show(s, lines)) // after an error, print the lines of the other hooks
}

func (c *pluginProfileCmd) show(s *system, lines []vm.ProfileLine) error {
	total := time.Duration(0)
	for _, l := range lines {
		total += l.Time
	}
	shown := []profiled{}
	for _, l := range lines[:min(c.Lines, len(lines))] {
		shown = append(shown, profiled{l.Line, float64(l.Time) / float64(total), l.Time.Seconds(), sourceLine(l.Line)})
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(shown)
	}
	if _, err := fmt.Fprintf(s.stdout, "%6s  %10s  %s\n", "share", "ms", "line"); err != nil {
		return err
	}
	for _, l := range shown {
		if _, err := fmt.Fprintf(s.stdout, "%5.1f%%  %10.1f  %s  %s\n", 100*l.Share, 1000*l.Seconds, l.Line, l.Source); err != nil {
			return err
		}
	}
	return nil
}

// sourceLine returns the text of a line "file:line", or "" if it cannot be read, as for
// shipped plugins.
func sourceLine(at string) string {
	i := strings.LastIndexByte(at, ':')
	if i < 0 {
		return ""
	}
	n, err := strconv.Atoi(at[i+1:])
	if err != nil {
		return ""
	}
	f, err := os.Open(at[:i])
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was only read
	lines := bufio.NewScanner(f)
	for range n {
		if !lines.Scan() {
			return ""
		}
	}
	return strings.TrimSpace(lines.Text())
}
