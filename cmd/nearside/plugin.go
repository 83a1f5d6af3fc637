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
	New   pluginNewCmd   `cmd:"" help:"Write a new plugin, its test, and files for editors."`
	Check pluginCheckCmd `cmd:"" help:"Find faults in plugins without running them."`
	Test  pluginTestCmd  `cmd:"" help:"Run the tests of plugins."`
	Bench pluginBenchCmd `cmd:"" help:"Measure the time of a plugin's hooks."`
	List  pluginListCmd  `cmd:"" help:"List the plugins that can be activated."`

	Profile pluginProfileCmd `cmd:"" help:"Show which Lua lines take the time of a plugin's hooks."`
	Repl    pluginReplCmd    `cmd:"" help:"Evaluate lines of Lua in a plugin."`
	Install pluginInstallCmd `cmd:"" help:"Copy a plugin into the folder, after a check."`
}

// pluginFlags are the flags for the folder and the configuration of plugins.
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
	o := lua.Options{
		Dir: cfg.Plugins.Dir, Shipped: plugins.Files, Active: cfg.Plugins.Active, Settings: cfg.Plugins.Settings, Override: cfg.Plugins.Override,
		MetaFields: cfg.Events.MetaFields,
	}
	if f.Dir != "" {
		o.Dir = f.Dir
	}
	return o, nil
}

// target is a plugin on which a command works.
type target struct {
	options lua.Options
	name    string
}

// targetOf returns the plugin with a name or a path: dir/name.lua, dir/name or
// dir/name/init.lua. A path also gives the folder.
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
