package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"nearside/lua"
)

type pluginCheckCmd struct {
	Plugins []string `arg:"" optional:"" help:"Names or paths of plugins (default: all of the folder)." placeholder:"NAME"`
	JSON    bool     `help:"Show JSON."`
	pluginFlags
}

// Help is shown below the flags.
func (*pluginCheckCmd) Help() string {
	return `Example:

    nearside plugin check plugins/teapot.lua

It compiles, and looks at the table that the file returns, its schema and permissions, at names that ns does not have, and at writes of globals. Settings are those of the configuration. The exit code is 1 when there is a fault.`
}

// checked is what check found of one plugin.
type checked struct {
	Plugin string   `json:"plugin"`
	OK     bool     `json:"ok"`
	Faults []string `json:"faults"`
}

// Run prints a line for each fault.
func (c *pluginCheckCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	targets := targetsOf(o, c.Plugins)
	if len(targets) == 0 {
		if targets, err = ownPlugins(s, o); err != nil {
			return err
		}
	}
	found, faults := []checked{}, 0
	for _, t := range targets {
		one := checked{Plugin: t.name, OK: true, Faults: []string{}}
		if err := lua.Check(s.ctx, t.options, t.name); err != nil {
			one.OK = false
			for line := range strings.SplitSeq(err.Error(), "\n") {
				one.Faults = append(one.Faults, strings.TrimPrefix(line, "plugin "+t.name+": "))
			}
		}
		found, faults = append(found, one), faults+len(one.Faults)
	}
	if c.JSON {
		err = json.NewEncoder(s.stdout).Encode(found)
	} else {
		err = printChecked(s, found)
	}
	if err == nil && faults > 0 {
		err = errReported
	}
	return err
}

func printChecked(s *system, found []checked) error {
	for _, one := range found {
		for _, fault := range one.Faults {
			if _, err := fmt.Fprintln(s.stdout, fault); err != nil {
				return err
			}
		}
		if !one.OK {
			continue
		}
		if _, err := fmt.Fprintf(s.stdout, "%s: ok\n", one.Plugin); err != nil {
			return err
		}
	}
	return nil
}

// ownPlugins are those of the folder.
func ownPlugins(s *system, o lua.Options) ([]target, error) {
	own := o
	own.Shipped = nil
	all, err := lua.List(s.ctx, own)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, l := range all {
		targets = append(targets, target{o, l.Name})
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("there is no plugin in %s; name one, also of the shipped ones", o.Dir)
	}
	return targets, nil
}
