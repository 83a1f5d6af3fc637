package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"nearside/lua"
	"nearside/lua/trial"
	"nearside/plugins"
)

type pluginTestCmd struct {
	Plugins []string `arg:"" optional:"" help:"Names or paths of plugins (default: all in the folder that have tests)." placeholder:"NAME"`
	Shipped bool     `help:"Test the plugins that ship with nearside."`
	JSON    bool     `help:"Print a line of JSON for each test."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginTestCmd) Help() string {
	return `Example:

    nearside plugin test plugins/teapot.lua

It runs NAME_test.lua, and all *_test.lua files of a plugin that is a folder, in the same interpreter as plugins. The clock moves only when a test moves it. HTTP, Redis, RabbitMQ and the store are simulated. Lines of print are shown above the test, after a bar. The exit code is 1 if a test fails.`
}

// tested is one test in JSON.
type tested struct {
	Plugin  string   `json:"plugin"`
	File    string   `json:"file"`
	Test    string   `json:"test"`
	OK      bool     `json:"ok"`
	Fault   string   `json:"fault,omitempty"`
	Seconds float64  `json:"seconds"`
	Output  []string `json:"output,omitempty"`
}

// Run runs the tests and prints a line for each.
func (c *pluginTestCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	targets, err := c.targets(o)
	if err != nil {
		return err
	}
	for _, t := range targets { // before any test runs, so that a misspelt name is reported as unknown
		if err := lua.CheckExists(t.options, t.name); err != nil {
			return err
		}
	}
	passed, failed := 0, 0
	var faults []error
	for _, t := range targets {
		if err := c.print(s, "%s\n", t.name); err != nil {
			return err
		}
		err := trial.Run(s.ctx, t.options, t.name, func(r trial.Result) {
			if r.Fault == "" {
				passed++
			} else {
				failed++
			}
			faults = append(faults, c.show(s, r))
		})
		if s.ctx.Err() != nil { // all other tests would fail in the same way
			faults = []error{fmt.Errorf("%w in the tests of %s", context.Cause(s.ctx), t.name)}
			break
		}
		faults = append(faults, err)
	}
	if err := c.print(s, "%d passed, %d failed\n", passed, failed); err != nil {
		return err
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if failed > 0 {
		return errReported
	}
	return nil
}

// targets returns the plugins to test.
func (c *pluginTestCmd) targets(o lua.Options) ([]target, error) {
	targets := targetsOf(o, c.Plugins)
	if c.Shipped {
		names, err := lua.TestedPlugins(plugins.Files)
		if err != nil {
			return nil, err
		}
		shipped := o
		shipped.Dir = "" // the shipped plugins, even if the folder has plugins of the same name
		for _, name := range names {
			targets = append(targets, target{shipped, name})
		}
	}
	if len(targets) > 0 {
		return targets, nil
	}
	names, err := lua.TestedPlugins(os.DirFS(o.Dir))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no plugin in %s has a test; --shipped tests the plugins that ship with nearside", o.Dir)
	}
	for _, name := range names {
		targets = append(targets, target{o, name})
	}
	return targets, nil
}

// print writes text that --json leaves out.
func (c *pluginTestCmd) print(s *system, format string, args ...any) error {
	if c.JSON {
		return nil
	}
	_, err := fmt.Fprintf(s.stdout, format, args...)
	return err
}

func (c *pluginTestCmd) show(s *system, r trial.Result) error {
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(tested{r.Plugin, r.File, r.Name, r.Fault == "", r.Fault, r.Took.Seconds(), r.Output})
	}
	for _, line := range r.Output {
		if err := c.print(s, "        | %s\n", line); err != nil {
			return err
		}
	}
	if r.Fault == "" {
		return c.print(s, "  ok    %s (%v)\n", r.Name, r.Took.Round(10*time.Microsecond))
	}
	return c.print(s, "  FAIL  %s\n        %s\n", r.Name, strings.ReplaceAll(r.Fault, "\n", "\n        "))
}
