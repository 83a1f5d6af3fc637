package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"nearside/internal/erase"
	"nearside/matcher"
)

type eraseCmd struct {
	remoteFlag
	filterFlag
	Origin    string   `help:"Origin of the objects: ${enum}." enum:"faces,events,attributes" default:"faces"`
	IDs       []string `name:"id" help:"Erase the object with this id; may be repeated. The object may have been deleted already." placeholder:"ID" sep:"none"`
	Account   string   `help:"Erase all objects and lists of this account." placeholder:"ID"`
	Snapshots bool     `help:"Also delete snapshots that have an erased object."`
	Prove     bool     `help:"Fail if a file still has something of the erased objects."`
}

// Help is printed below the flags.
func (*eraseCmd) Help() string {
	return `Examples:

    nearside erase --prove --id 5dc73618-3df8-563e-bc95-4cff773c93ec
    nearside erase --prove --origin events --filter create_time__lt=now-90d
    nearside erase --prove --account 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e --snapshots

The server deletes the objects, rewrites all files that may still have them, and then searches every file of its data directory. The command waits for the end and prints the report as one line of JSON; docs/operating.md explains it. If the command is interrupted, the server continues.

Exit codes: 0 done, 1 failed or, with --prove, something remains besides ids in the audit, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// errRemains is the error of an erasure that is not complete.
var errRemains = errors.New("something of the erased objects remains; see remains in the report")

// Run starts the erasure and waits for its end.
func (c *eraseCmd) Run(s *system) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	method, path, query, body, err := c.request()
	if err != nil {
		return err
	}
	data, err := server.call(s.ctx, method, path, query, body)
	if err != nil {
		return err
	}
	var started struct{ Task string }
	if err := json.Unmarshal(data, &started); err != nil {
		return fmt.Errorf("server: %s: %w", path, err)
	}
	text, err := server.waitTask(s, started.Task)
	if err != nil {
		return err
	}
	if err := printLine(s, text); err != nil {
		return err
	}
	var report erase.Report
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("server: the report of task %s: %w", started.Task, err)
	}
	if c.Prove && !report.Proven() {
		return errRemains
	}
	return nil
}

// request returns the request that starts the erasure.
func (c *eraseCmd) request() (method, path string, query url.Values, body any, err error) {
	given := 0
	for _, set := range []bool{len(c.IDs) > 0, len(c.Filter) > 0, c.Account != ""} {
		if set {
			given++
		}
	}
	if given != 1 {
		return "", "", nil, nil, usagef("exactly one of --id, --filter and --account must be given")
	}
	if c.Account != "" {
		id, err := matcher.ParseID(c.Account)
		if err != nil {
			return "", "", nil, nil, usagef("--account: %v", err)
		}
		query := url.Values{}
		if c.Snapshots {
			query.Set("snapshots", "1")
		}
		return http.MethodDelete, "/1/accounts/" + id.String(), query, nil, nil
	}
	fields := map[string]any{"origin": c.Origin, "snapshots": c.Snapshots}
	if len(c.IDs) > 0 {
		if _, err := parseIDs(c.IDs); err != nil {
			return "", "", nil, nil, err
		}
		fields["ids"] = c.IDs
		return http.MethodPost, "/1/erase", nil, fields, nil
	}
	origin, err := matcher.ParseOrigin(c.Origin)
	if err != nil {
		return "", "", nil, nil, err
	}
	if fields["filters"], err = c.filters(origin); err != nil {
		return "", "", nil, nil, err
	}
	return http.MethodPost, "/1/erase", nil, fields, nil
}
