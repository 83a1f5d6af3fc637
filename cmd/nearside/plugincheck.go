package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"nearside/lua"
)

type pluginCheckCmd struct {
	Plugins []string `arg:"" optional:"" help:"Names or paths of plugins (default: all in the folder)." placeholder:"NAME"`
	JSON    bool     `help:"Print JSON."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginCheckCmd) Help() string {
	return `Example:

    nearside plugin check plugins/teapot.lua

It compiles each plugin. Then it checks the table that the file returns, its schema and permissions, and its settings in the configuration. It reports names that ns does not have, and writes to globals. The exit code is 1 if there is a fault.`
}

// checked is the result for one plugin.
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
		if targets, err = folderPlugins(s, o); err != nil {
			return err
		}
	}
	found, faults := []checked{}, 0
	for _, t := range targets {
		result := checked{Plugin: t.name, OK: true, Faults: []string{}}
		if err := lua.Check(s.ctx, t.options, t.name); err != nil {
			result.OK = false
			for line := range strings.SplitSeq(err.Error(), "\n") {
				result.Faults = append(result.Faults, strings.TrimPrefix(line, "plugin "+t.name+": "))
			}
		}
		found, faults = append(found, result), faults+len(result.Faults)
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
	for _, result := range found {
		for _, fault := range result.Faults {
			if _, err := fmt.Fprintln(s.stdout, fault); err != nil {
				return err
			}
		}
		if !result.OK {
			continue
		}
		if _, err := fmt.Fprintf(s.stdout, "%s: ok\n", result.Plugin); err != nil {
			return err
		}
	}
	return nil
}

// folderPlugins returns the plugins in the folder.
func folderPlugins(s *system, o lua.Options) ([]target, error) {
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
		return nil, fmt.Errorf("there is no plugin in %s; give the name of a plugin, which may be a shipped one", o.Dir)
	}
	return targets, nil
}
