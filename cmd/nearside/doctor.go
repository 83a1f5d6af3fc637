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
	DataDir string   `help:"Data directory to look at." default:"data" placeholder:"DIR"`
	Ready   readyURL `help:"Only ask whether the server at URL (default: http://127.0.0.1:5110) is ready, for health checks." placeholder:"URL"`
	JSON    bool     `help:"Show JSON."`
}

// Help is shown below the flags.
func (*doctorCmd) Help() string {
	return `Examples:

    nearside doctor --data-dir data
    nearside doctor --ready http://127.0.0.1:5110

The exit code is 1 when something fails, or the server is not ready. Warnings do not count.`
}

// The states of a check.
const (
	stateOK   = "ok"
	stateWarn = "warn" // works, but worse than it could
	stateFail = "fail" // nearside will not work
)

// check is one finding.
type check struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Value  string `json:"value"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Run prints the findings.
func (c *doctorCmd) Run(s *system) error {
	if c.Ready != "" {
		return c.ready(s)
	}
	checks := append(append(cpuChecks(), systemChecks()...), dataChecks(c.DataDir)...)
	failed := 0
	for _, found := range checks {
		if found.State == stateFail {
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

// ready asks a server whether it is ready.
func (c *doctorCmd) ready(s *system) error {
	server, err := newClient(strings.TrimSuffix(string(c.Ready), "/readyz"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if _, err = server.call(ctx, http.MethodGet, "/readyz", nil, nil); err != nil && ctx.Err() != nil && s.ctx.Err() == nil {
		err = fmt.Errorf("%s: no answer in 5 seconds", server.base)
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

// readyURL is a flag whose value may be left out.
type readyURL string

// IsBool makes kong accept the flag without a value.
func (readyURL) IsBool() bool { return true }

// Decode takes the next argument if it is a URL.
func (u *readyURL) Decode(ctx *kong.DecodeContext) error {
	*u = defaultURL
	next := ctx.Scan.Peek()
	text, ok := next.Value.(string)
	if ok && (next.Type == kong.FlagValueToken || strings.Contains(text, "://")) {
		*u = readyURL(text)
		ctx.Scan.Pop()
	}
	return nil
}
