package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"nearside/lua/ns"
	"nearside/lua/trial"
)

type pluginReplCmd struct {
	Plugin string `arg:"" help:"Name or path of a plugin."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginReplCmd) Help() string {
	return `Example:

    nearside plugin repl teapot

It starts the plugin with its settings and with the doubles of "plugin test": a store, Redis, RabbitMQ and a clock of its own; HTTP requests are answered at once (POST with 201, others with 200). Each line is an expression or statements. ns is require("nearside"), M the table of the plugin, v an empty table for values of your own.

.advance SECONDS moves the clock, .reload reads the files again, .quit or the end of the input ends the command.`
}

// Run reads lines and prints their results.
func (c *pluginReplCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	t := targetOf(o, c.Plugin)
	r, err := trial.NewRepl(s.ctx, t.options, t.name, func(line string) { _, _ = fmt.Fprintln(s.stdout, "| "+line) }) // the next line of output reports a closed stdout
	if err != nil {
		return err
	}
	err = c.read(s, r)
	return errors.Join(err, r.Close(context.WithoutCancel(s.ctx)))
}

// read evaluates the lines of the input.
func (c *pluginReplCmd) read(s *system, r *trial.Repl) error {
	lines := bufio.NewScanner(untilInterrupted(s.ctx, s.stdin))
	lines.Buffer(nil, 1<<20)
	for {
		if _, err := fmt.Fprint(s.stdout, "> "); err != nil {
			return err
		}
		if !lines.Scan() || strings.TrimSpace(lines.Text()) == ".quit" {
			_, err := fmt.Fprintln(s.stdout)
			return errors.Join(lines.Err(), err)
		}
		text, err := runReplLine(s.ctx, r, strings.TrimSpace(lines.Text()))
		err = errors.Join(err, r.Failures())
		switch {
		case s.ctx.Err() != nil:
			return context.Cause(s.ctx)
		case err != nil:
			text = "error: " + err.Error()
		case text == "":
			continue
		}
		if _, err := fmt.Fprintln(s.stdout, text); err != nil {
			return err
		}
	}
}

// runReplLine runs a command or evaluates a line.
func runReplLine(ctx context.Context, r *trial.Repl, line string) (string, error) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "":
		return "", nil
	case word == ".reload":
		return "", r.Reload(ctx)
	case word == ".advance":
		seconds, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		if err != nil {
			return "", fmt.Errorf(".advance: %q is not a number of seconds", rest)
		}
		d, err := ns.Duration(seconds)
		if err != nil {
			return "", err
		}
		return "", r.Advance(ctx, max(d, time.Duration(0)))
	case strings.HasPrefix(word, "."):
		return "", fmt.Errorf("%s is not one of .advance, .reload, .quit", word)
	}
	return r.Eval(ctx, line)
}
