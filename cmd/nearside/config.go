package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nearside/internal/certs"
	"nearside/internal/config"
)

type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Print the effective configuration, with secrets hidden."`
	Check configCheckCmd `cmd:"" help:"Find all faults of the configuration."`
}

type configPrintCmd struct {
	Config string `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	JSON   bool   `help:"Print JSON."`
}

// Help is printed below the flags.
func (*configPrintCmd) Help() string {
	return "Example:\n\n    NEARSIDE_WORKERS=2 nearside config print --config nearside.yaml"
}

// Run prints the configuration from the file, the environment and the defaults.
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
	JSON   bool   `help:"Print JSON."`
}

// Help is printed below the flags.
func (*configCheckCmd) Help() string {
	return `Example:

    nearside config check --config nearside.yaml

Checks the file and the environment, and everything that serve checks before it starts: the data directory, the address, the files of TLS, and the active plugins with their settings. Nothing is changed. Settings that serve would ignore, such as those of an unknown plugin, are warnings. So are a data directory and an address that a running server uses.

Exit codes: 0 no fault, 1 at least one fault, 2 wrong usage.`
}

// Run prints the faults, or "ok".
func (c *configCheckCmd) Run(s *system) error {
	cfg, warnings, err := config.Read(c.Config, s.env, nil)
	if err == nil {
		p := runPreflight(s.ctx, &cfg)
		warnings = append(warnings, p.warnings()...)
		if err := certs.CheckTime(serverFiles(&cfg), time.Now()); err != nil {
			warnings = append(warnings, err.Error())
		}
		err = p.faults(&cfg)
	}
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

// faults joins the reasons why serve would not start, one per line. Each begins with
// the file or variable that has the fault.
func (p *preflight) faults(cfg *config.Config) error {
	var all []error
	for _, err := range p.refused {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			all = append(all, fmt.Errorf("%s: %s", cfg.Source(line), line))
		}
	}
	return errors.Join(all...)
}

// warnings returns the warnings of serve, the settings that it ignores, and the
// resources that are in use now.
func (p *preflight) warnings() []string {
	all := slices.Clone(p.defaults)
	for _, err := range p.ignored {
		all = append(all, err.Error()+"; serve ignores it")
	}
	for _, err := range p.inUse {
		all = append(all, err.Error())
	}
	return all
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
