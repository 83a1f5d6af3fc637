package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"nearside/lua"
)

type pluginListCmd struct {
	JSON bool `help:"Print JSON."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginListCmd) Help() string {
	return `Example:

    NEARSIDE_PLUGINS_ACTIVE=teapot nearside plugin list

It lists the plugins in the folder and those that ship with nearside. A plugin is active if the configuration activates it.`
}

// listed is one plugin in JSON.
type listed struct {
	Name    string     `json:"name"`
	Version string     `json:"version"`
	Kinds   []lua.Kind `json:"kinds"`
	File    string     `json:"file"`
	Shipped bool       `json:"shipped"`
	Hides   bool       `json:"hides_shipped"`
	Active  bool       `json:"active"`
	Fault   string     `json:"fault,omitempty"`
}

// Run prints a line for each plugin.
func (c *pluginListCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	all, err := lua.List(s.ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := []listed{}
		for _, l := range all {
			rows = append(rows, listed{l.Name, l.Version, append([]lua.Kind{}, l.Kinds...), l.File, l.Shipped, l.Hides, l.Active, l.Fault})
		}
		return json.NewEncoder(s.stdout).Encode(rows)
	}
	row := func(name, version, kinds, active, file string) error {
		line := fmt.Sprintf("%-24s  %-10s  %-28s  %-6s  %s", name, version, kinds, active, file)
		_, err := fmt.Fprintln(s.stdout, strings.TrimRight(line, " "))
		return err
	}
	if err := row("name", "version", "kinds", "active", "file"); err != nil {
		return err
	}
	for _, l := range all {
		active, file := "no", l.File
		if l.Active {
			active = "yes"
		}
		if l.Hides {
			file += " (in place of the shipped one)"
		}
		if l.Fault != "" {
			file = "FAULT " + strings.ReplaceAll(l.Fault, "\n", "; ")
		}
		kinds := make([]string, len(l.Kinds))
		for i, k := range l.Kinds {
			kinds[i] = string(k)
		}
		if err := row(l.Name, cmp.Or(l.Version, "-"), strings.Join(kinds, ","), active, file); err != nil {
			return err
		}
	}
	return nil
}
