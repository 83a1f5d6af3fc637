package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"nearside/internal/audit"
	"nearside/internal/config"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check the files of an audit."`
	Head   auditHeadCmd   `cmd:"" help:"Print the number and the hash of the last line."`
	Tail   auditTailCmd   `cmd:"" help:"Print the last lines."`
}

type auditVerifyCmd struct {
	Files   []string `arg:"" name:"file" help:"Files of the audit, in any order."`
	Head    string   `help:"Number and hash of a line that must be in the files, as nearside audit head has printed them." placeholder:"SEQ:HASH"`
	KeyFile string   `help:"File with the secret of the hashes (default: audit.key_file of the configuration)." placeholder:"FILE"`
	Config  string   `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	JSON    bool     `help:"Print JSON."`
}

// Help is printed below the flags.
func (*auditVerifyCmd) Help() string {
	return `Example:

    nearside audit verify --key-file audit.key --head 1201:5f0c... /var/log/nearside/audit.log*

It prints the first line that was changed, is missing, is in the wrong place or does not belong to the audit, and then exits with 1. Lines that were cut off at the end can be detected only with --head.`
}

// auditReport is the result of a verification as JSON.
type auditReport struct {
	Lines      uint64   `json:"lines"`
	First      uint64   `json:"first"`
	Head       string   `json:"head"`
	Recoveries int      `json:"recoveries"`
	Warnings   []string `json:"warnings"`
	Error      string   `json:"error,omitempty"`
}

// Run verifies the files.
func (c *auditVerifyCmd) Run(s *system) error {
	keyFile := c.KeyFile
	if keyFile == "" {
		cfg, _, err := config.Read(c.Config, s.env, nil)
		if err != nil {
			return err
		}
		if keyFile = cfg.Audit.KeyFile; keyFile == "" {
			return usagef("--key-file is needed, because the configuration has no audit.key_file")
		}
	}
	key, err := audit.ReadKey(keyFile)
	if err != nil {
		return fmt.Errorf("the secret of the audit: %w", err)
	}
	var head *audit.Head
	if c.Head != "" {
		h, err := audit.ParseHead(c.Head)
		if err != nil {
			return usagef("--head: %v", err)
		}
		head = &h
	}
	report, err := audit.Verify(key, c.Files, head)
	fault, isFault := errors.AsType[*audit.LineError](err)
	if err != nil && !isFault {
		return err
	}
	if c.JSON {
		shown := auditReport{Lines: report.Lines, First: report.First, Head: report.Head.String(), Recoveries: report.Recoveries, Warnings: append([]string{}, report.Warnings...)}
		if isFault {
			shown.Error = fault.Error()
		}
		if err := json.NewEncoder(s.stdout).Encode(shown); err != nil {
			return err
		}
		if isFault {
			return errReported
		}
		return nil
	}
	for _, warning := range report.Warnings {
		_, _ = fmt.Fprintln(s.stderr, "warning: "+warning) // an error of stderr cannot be reported anywhere
	}
	if isFault {
		return fault
	}
	if report.Lines == 0 {
		return errors.New("the files have no line of an audit")
	}
	_, err = fmt.Fprintf(s.stdout, "%d lines, %d to %d, are complete and unchanged\nhead %s\n", report.Lines, report.First, report.Head.Seq, report.Head)
	return err
}

type auditHeadCmd struct {
	remoteFlag
	File string `arg:"" optional:"" help:"File of the audit; without it, the server is asked."`
	JSON bool   `help:"Print JSON."`
}

// Help is printed below the flags.
func (*auditHeadCmd) Help() string {
	return `Example:

    nearside audit head --key-file admin.key >> /somewhere/else/heads

Keep heads where the operators of the server cannot change them. nearside audit verify --head checks that a line is still there.`
}

// Run prints the head.
func (c *auditHeadCmd) Run(s *system) error {
	var head audit.Head
	var err error
	if c.File != "" {
		_, head, err = audit.Tail(c.File, 1)
	} else {
		var page auditPage
		if page, err = c.page(s, url.Values{"page_size": {"1"}}); err == nil {
			head, err = audit.ParseHead(page.Head.text())
		}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(map[string]string{"head": head.String()})
	}
	_, err = fmt.Fprintln(s.stdout, head)
	return err
}

type auditTailCmd struct {
	remoteFlag
	File   string `arg:"" optional:"" help:"File of the audit; without it, the server is asked."`
	Number uint64 `short:"n" help:"Number of lines, at most 1000." default:"10"`
}

// Help is printed below the flags.
func (*auditTailCmd) Help() string {
	return "Example:\n\n    nearside audit tail -n 20 --key-file admin.key\n\nThe lines are printed as they are in the file."
}

// Run prints the lines.
func (c *auditTailCmd) Run(s *system) error {
	if c.Number < 1 || c.Number > 1000 {
		return usagef("-n: must be from 1 to 1000, got %d", c.Number)
	}
	lines, err := c.lines(s)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(s.stdout, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func (c *auditTailCmd) lines(s *system) ([][]byte, error) {
	if c.File != "" {
		lines, _, err := audit.Tail(c.File, c.Number)
		return lines, err
	}
	first, err := c.page(s, url.Values{"page_size": {"1"}})
	if err != nil {
		return nil, err
	}
	after := max(first.Head.Seq, c.Number) - c.Number
	page, err := c.page(s, url.Values{"page_size": {strconv.FormatUint(c.Number, 10)}, "after": {strconv.FormatUint(after, 10)}})
	lines := make([][]byte, len(page.Lines))
	for i := range page.Lines {
		lines[i] = page.Lines[i]
	}
	return lines, err
}

// auditPage is an answer of GET /1/audit.
type auditPage struct {
	Lines []json.RawMessage
	Head  auditHead
}

type auditHead struct {
	Seq  uint64
	Hash string
}

func (h *auditHead) text() string { return strconv.FormatUint(h.Seq, 10) + ":" + h.Hash }

// page asks the server for a page of the audit.
func (f *remoteFlag) page(s *system, query url.Values) (page auditPage, err error) {
	server, err := f.client(s)
	if err != nil {
		return page, err
	}
	data, err := server.call(s.ctx, http.MethodGet, "/1/audit", query, nil)
	if err != nil {
		return page, err
	}
	return page, json.Unmarshal(data, &page)
}
