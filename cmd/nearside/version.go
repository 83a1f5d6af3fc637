package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// The version of the program.
const (
	versionMajor = 0
	versionMinor = 1
	versionPatch = 0
)

// versionText returns the version, as in 0.1.0.
func versionText() string { return fmt.Sprintf("%d.%d.%d", versionMajor, versionMinor, versionPatch) }

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is printed below the flags.
func (*versionCmd) Help() string {
	return "Example:\n\n    nearside version --json"
}

// Run prints the version, the commit and the Go version.
func (c *versionCmd) Run(s *system) error {
	commit := revision()
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(map[string]any{
			"version": versionText(), "major": versionMajor, "minor": versionMinor, "patch": versionPatch,
			"commit": commit, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(s.stdout, "nearside %s (commit %s, %s, %s/%s)\n",
		versionText(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// revision returns the commit from which the program was built, or "unknown".
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, changed := "unknown", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = setting.Value[:min(len(setting.Value), 12)]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			changed = "+changes"
		}
	}
	return commit + changed
}
