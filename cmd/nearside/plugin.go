package main

import (
	"os"
	"path/filepath"
	"strings"

	"nearside/internal/config"
	"nearside/lua"
	"nearside/plugins"
)

type pluginCmd struct {
	New   pluginNewCmd   `cmd:"" help:"Write a new plugin, its test, and what editors need."`
	Check pluginCheckCmd `cmd:"" help:"Find the faults of plugins without running them."`
	Test  pluginTestCmd  `cmd:"" help:"Run the tests of plugins."`
	Bench pluginBenchCmd `cmd:"" help:"Measure what the hooks of a plugin cost."`
	List  pluginListCmd  `cmd:"" help:"Show the plugins that can be activated."`
}

// pluginFlags say where plugins and their settings are.
type pluginFlags struct {
	Dir    string `help:"Folder of plugins (default: plugins.dir of the configuration)." placeholder:"DIR"`
	Config string `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
}

// options reads the configuration.
func (f *pluginFlags) options(s *system) (lua.Options, error) {
	cfg, _, err := config.Read(f.Config, s.env, nil)
	if err != nil {
		return lua.Options{}, err
	}
	o := lua.Options{Dir: cfg.Plugins.Dir, Shipped: plugins.Files, Active: cfg.Plugins.Active, Settings: cfg.Plugins.Settings}
	if f.Dir != "" {
		o.Dir = f.Dir
	}
	return o, nil
}

// target is one plugin that a command is about.
type target struct {
	options lua.Options
	name    string
}

// targetOf understands a name, or the path of a plugin: dir/name.lua,
// dir/name, dir/name/init.lua. A path says the folder, too.
func targetOf(o lua.Options, arg string) target {
	path := filepath.Clean(arg)
	if filepath.Base(path) == "init.lua" && filepath.Dir(path) != "." {
		path = filepath.Dir(path)
	}
	if _, err := os.Stat(path); filepath.Base(path) != path || err == nil && strings.HasSuffix(path, ".lua") {
		o.Dir = filepath.Dir(path)
	}
	return target{o, strings.TrimSuffix(filepath.Base(path), ".lua")}
}

func targetsOf(o lua.Options, args []string) []target {
	targets := make([]target, len(args))
	for i, arg := range args {
		targets[i] = targetOf(o, arg)
	}
	return targets
}
