package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"nearside/lua/trial"
)

type pluginBenchCmd struct {
	Plugin string        `arg:"" help:"Name or path of a plugin."`
	Time   time.Duration `help:"How long each hook is called." default:"1s"`
	Rows   int           `help:"Faces in the candidate set of a matching plugin." default:"10000"`
	JSON   bool          `help:"Print JSON."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginBenchCmd) Help() string {
	return `Example:

    nearside plugin bench adults_only --rows 100000

The time of a hook is the time during which it holds the interpreter; the time that a call waits is not included. HTTP requests are answered at once (POST with 201, others with 200). Redis and RabbitMQ are simulated.`
}

// measured is one hook in JSON.
type measured struct {
	Hook         string  `json:"hook"`
	Per          string  `json:"per"`
	Count        int     `json:"count"`
	Nanoseconds  float64 `json:"ns"`
	Instructions float64 `json:"instructions"`
}

// Run measures each hook.
func (c *pluginBenchCmd) Run(s *system) error {
	if c.Time <= 0 || c.Time > time.Minute {
		return usagef("--time: must be above 0 and at most 1m, got %v", c.Time)
	}
	if c.Rows < 1 || c.Rows > 1_000_000 {
		return usagef("--rows: must be an integer from 1 to 1000000, got %d", c.Rows)
	}
	o, err := c.options(s)
	if err != nil {
		return err
	}
	t := targetOf(o, c.Plugin)
	figures, err := trial.Measure(s.ctx, t.options, t.name, c.Rows, c.Time)
	if s.ctx.Err() != nil {
		err = fmt.Errorf("%w; %d hooks were measured", context.Cause(s.ctx), len(figures))
	}
	if err != nil && len(figures) == 0 {
		return err
	}
	return errors.Join(err, c.show(s, t.name, figures)) // after an error, print the hooks that were measured before it
}

func (c *pluginBenchCmd) show(s *system, name string, figures []trial.Measurement) error {
	if c.JSON {
		rows := []measured{}
		for _, m := range figures {
			rows = append(rows, measured(m))
		}
		return json.NewEncoder(s.stdout).Encode(rows)
	}
	if len(figures) == 0 {
		return fmt.Errorf("plugin %s has no hook that can be called: handle_event, routes, request, cost, prefilter, match, results", name)
	}
	if _, err := fmt.Fprintf(s.stdout, "%-24s  %12s  %12s  %10s\n", "hook", "ns", "instructions", "count"); err != nil {
		return err
	}
	for _, m := range figures {
		_, err := fmt.Fprintf(s.stdout, "%-24s  %12.0f  %12.0f  %10d\n", m.Hook+" per "+m.Per, m.Nanoseconds, m.Instructions, m.Count)
		if err != nil {
			return err
		}
	}
	return nil
}
