package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"nearside/internal/config"
)

type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Show the configuration that holds, with secrets hidden."`
	Check configCheckCmd `cmd:"" help:"Find all faults of the configuration."`
}

type configPrintCmd struct {
	Config string `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	JSON   bool   `help:"Show JSON."`
}

// Help is shown below the flags.
func (*configPrintCmd) Help() string {
	return "Example:\n\n    NEARSIDE_WORKERS=2 nearside config print --config nearside.yaml"
}

// Run prints file, environment and defaults as one configuration.
func (c *configPrintCmd) Run(s *system) error {
	cfg, warnings, err := config.Read(c.Config, s.env, nil)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		if _, err := fmt.Fprintln(s.stderr, "nearside: warning:", warning); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(cfg.Map())
	}
	text, err := cfg.YAML()
	if err != nil {
		return err
	}
	_, err = s.stdout.Write(text)
	return err
}

type configCheckCmd struct {
	Config string `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	JSON   bool   `help:"Show JSON."`
}

// Help is shown below the flags.
func (*configCheckCmd) Help() string {
	return "Example:\n\n    nearside config check --config nearside.yaml\n\nThe exit code is 1 when there is a fault."
}

// Run prints the faults, or that there are none.
func (c *configCheckCmd) Run(s *system) error {
	cfg, warnings, err := config.Read(c.Config, s.env, nil)
	if c.JSON {
		return c.json(s, warnings, err)
	}
	for _, warning := range warnings {
		if _, err := fmt.Fprintln(s.stderr, "nearside: warning:", warning); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "%s: ok\n", cmp.Or(cfg.File, "no file, defaults and environment"))
	return err
}

func (c *configCheckCmd) json(s *system, warnings []string, fault error) error {
	faults := []string{}
	if fault != nil {
		faults = strings.Split(fault.Error(), "\n")
	}
	err := json.NewEncoder(s.stdout).Encode(map[string]any{
		"ok": fault == nil, "faults": faults, "warnings": append([]string{}, warnings...),
	})
	if err == nil && fault != nil {
		err = errReported
	}
	return err
}
