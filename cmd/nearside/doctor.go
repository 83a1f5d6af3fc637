package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

type doctorCmd struct {
	DataDir string   `help:"Data directory to check." default:"data" placeholder:"DIR"`
	Ready   readyURL `help:"Only check whether the server at URL (default: the variable NEARSIDE_URL, or http://127.0.0.1:5110) is ready, for health checks." placeholder:"URL"`
	JSON    bool     `help:"Print JSON."`
	tlsFlags
}

// Help is printed below the flags.
func (*doctorCmd) Help() string {
	return `Examples:

    nearside doctor --data-dir data
    nearside doctor --ready http://127.0.0.1:5110

The exit code is 1 if a check fails or the server is not ready. Warnings do not change the exit code.`
}

// The states of a check.
const (
	stateOK   = "ok"
	stateWarn = "warn" // nearside works, but could work better
	stateFail = "fail" // nearside does not work
)

// check is the result of one check.
type check struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Value  string `json:"value"`
	Advice string `json:"advice,omitempty"` // how to fix or improve it
}

// Run prints the results of the checks.
func (c *doctorCmd) Run(s *system) error {
	if c.Ready.given {
		return c.ready(s)
	}
	if c.DataDir == "" {
		return usagef("--data-dir: must not be empty")
	}
	checks := append(append(cpuChecks(), systemChecks()...), dataChecks(c.DataDir)...)
	failed := 0
	for _, result := range checks {
		if result.State == stateFail {
			failed++
		}
	}
	if c.JSON {
		if err := json.NewEncoder(s.stdout).Encode(map[string]any{"ok": failed == 0, "checks": checks}); err != nil {
			return err
		}
	} else if err := printChecks(s.stdout, checks); err != nil {
		return err
	}
	if failed > 0 {
		return errReported
	}
	return nil
}

func printChecks(w io.Writer, checks []check) error {
	for _, c := range checks {
		if _, err := fmt.Fprintf(w, "%-4s  %-18s  %s\n", c.State, c.Name, c.Value); err != nil {
			return err
		}
		if c.Advice == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%26s-> %s\n", "", c.Advice); err != nil {
			return err
		}
	}
	return nil
}

// ready checks whether a server is ready.
func (c *doctorCmd) ready(s *system) error {
	server, err := c.readyClient(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if _, err = server.call(ctx, http.MethodGet, "/readyz", nil, nil); err != nil && ctx.Err() != nil && s.ctx.Err() == nil {
		err = fmt.Errorf("%s: no answer within 5 seconds", server.base)
	}
	if !c.JSON {
		if err == nil {
			_, err = fmt.Fprintln(s.stdout, "ready")
		}
		return err
	}
	answer := map[string]any{"ready": err == nil}
	if err != nil {
		answer["reason"] = err.Error()
	}
	if writeErr := json.NewEncoder(s.stdout).Encode(answer); writeErr != nil {
		return writeErr
	}
	if err != nil {
		return errReported
	}
	return nil
}

// readyURL is a flag whose value is optional.
type readyURL struct {
	given bool
	url   string // "": the flag has no value
}

// readyClient returns a client of the server to check.
func (c *doctorCmd) readyClient(s *system) (*client, error) {
	if c.Ready.url == "" {
		return c.defaultClient(s)
	}
	return s.withKey(c.newClient(s, "--ready", strings.TrimSuffix(c.Ready.url, "/readyz")))
}

// IsBool makes kong accept the flag without a value.
func (readyURL) IsBool() bool { return true }

// Decode uses the next argument as the value if it is a URL.
func (u *readyURL) Decode(ctx *kong.DecodeContext) error {
	u.given = true
	next := ctx.Scan.Peek()
	text, ok := next.Value.(string)
	if ok && (next.Type == kong.FlagValueToken || strings.Contains(text, "://")) {
		u.url = text
		ctx.Scan.Pop()
	}
	return nil
}
