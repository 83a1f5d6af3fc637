package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"nearside/internal/vectors"
	"nearside/matcher"
)

type matchCmd struct {
	remoteFlag
	Input   string `arg:"" name:"file|face_id" help:"Face of the server, or a file: .ndjson, .bvecs, .fvecs, .npy, or - for lines of JSON on the standard input."`
	List    string `help:"Only the faces of this list." placeholder:"ID"`
	Version uint32 `help:"Descriptor version of a vector file, or the version that the face must have." placeholder:"N"`
	Limit   int    `help:"Maximum number of matches per reference." default:"5" placeholder:"K"`
	Explain bool   `help:"Explain each answer: the matchers, the prefilters, rows, scan and time. With --json, the answers contain their plans."`
	JSON    bool   `help:"Print the server's answers as one JSON array."`
}

// Help is printed below the flags.
func (*matchCmd) Help() string {
	return `Examples:

    nearside match 5dc73618-3df8-563e-bc95-4cff773c93ec --limit 3
    nearside match queries.bvecs --version 1128 --list 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e
    nearside match queries.bvecs --version 1128 --explain

Every row of a file is a reference. --explain marks the matcher that answered with *.

Answers are printed as they arrive. If the command fails or is interrupted, the message says how many references were answered before.

Exit codes: 0 all references were answered, 1 failed, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// batchReferences is the maximum number of references in a request.
const batchReferences = 64

// Run matches the references.
func (c *matchCmd) Run(s *system) error {
	if c.Limit < 1 {
		return usagef("--limit: must be above 0, got %d", c.Limit)
	}
	filters := map[string]any{"origin": matcher.Faces.String()}
	if c.List != "" {
		id, err := matcher.ParseID(c.List)
		if err != nil {
			return usagef("--list: %v", err)
		}
		filters["list_id"] = id.String()
	}
	server, err := newClient("--url", c.URL)
	if err != nil {
		return err
	}
	refs, batch, err := c.references(s, server)
	if err != nil {
		return err
	}
	defer refs.close()
	set := map[string]any{"filters": filters, "limit": c.Limit, "targets": []string{"face_id", "external_id", "similarity", "distance"}}
	out := c.printer(s.stdout)
	answered := 0
	for {
		asked, err := takeReferences(refs, batch)
		if err == nil && len(asked) == 0 {
			return out.end()
		}
		if err == nil {
			err = c.ask(s, server, asked, set, out)
		}
		if err != nil && answered > 0 {
			err = fmt.Errorf("%w\nmatch stopped; the first %d references were answered", err, answered)
			return errors.Join(err, out.end()) // the output stays valid JSON
		}
		if err != nil {
			return err
		}
		answered += len(asked)
	}
}

// ask sends one request and prints its answer.
func (c *matchCmd) ask(s *system, server *client, asked []*reference, set map[string]any, out printer) error {
	data, err := server.call(s.ctx, http.MethodPost, "/1/matcher/faces", c.query(), map[string]any{
		"references": asked, "candidates": []any{set},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", asked[0].ID, err)
	}
	return out.answer(data)
}

func (c *matchCmd) printer(w io.Writer) printer {
	switch {
	case c.JSON:
		return &jsonPrinter{w: w}
	case c.Explain:
		return &explainPrinter{w: w}
	default:
		return &tablePrinter{w: w}
	}
}

func (c *matchCmd) query() url.Values {
	query := url.Values{}
	if c.Version != 0 {
		query.Set("descriptor_version", strconv.FormatUint(uint64(c.Version), 10))
	}
	if c.Explain {
		query.Set("explain", "1")
	}
	return query
}

// references opens the references, and returns the number of references per request.
func (c *matchCmd) references(s *system, server *client) (references, int, error) {
	if id, err := matcher.ParseID(c.Input); err == nil {
		return &oneReference{&reference{Type: matcher.RefFace, ID: id.String()}}, 1, nil
	}
	format, isVectors := vectors.FormatOf(c.Input)
	switch {
	case isVectors && format == vectors.Ivecs:
		return nil, 0, usagef("%s: .ivecs files hold row numbers, not descriptors", c.Input)
	case isVectors && c.Version == 0:
		return nil, 0, usagef("%s: vectors need --version, their descriptor version", c.Input)
	case !isVectors && c.Input != "-" && strings.ToLower(filepath.Ext(c.Input)) != ".ndjson":
		return nil, 0, usagef("%s: must be a face_id or one of .ndjson, .bvecs, .fvecs, .npy, -", c.Input)
	}
	config, err := server.config(s.ctx)
	if err != nil {
		return nil, 0, err
	}
	batch := min(batchReferences, config.referencesMax)
	if !isVectors {
		j := job{path: c.Input}
		if err := j.checkFile(nil); err != nil {
			return nil, 0, err
		}
		lines, err := j.openSource(s.ctx, nil, matcher.Faces, untilInterrupted(s.ctx, s.stdin))
		return &textReferences{path: c.Input, lines: lines}, batch, err
	}
	v, err := versionOf(c.Version, config)
	if err != nil {
		return nil, 0, err
	}
	if v.Type != matcher.FaceDescriptor {
		return nil, 0, fmt.Errorf("--version: must be of type face, got %d of type %s", v.Number, v.Type)
	}
	file, err := openVectors(c.Input, format, v)
	if err != nil {
		return nil, 0, err
	}
	(&job{path: c.Input, note: file.rows.Conversion()}).showNote(s)
	return &vectorReferences{vectorFile: file, path: c.Input, version: v.Number, row: make([]byte, v.Size())}, batch, nil
}
