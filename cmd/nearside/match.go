package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"nearside/matcher"
)

type matchCmd struct {
	remoteFlag
	candidateFlags
	Inputs    []string `arg:"" name:"file|id" help:"Ids of objects of the server, or files: .ndjson, .bvecs, .fvecs, .npy, or - for lines of JSON on the standard input."`
	Type      string   `help:"Type of the descriptors: ${enum}." enum:"face,body" default:"face"`
	Reference string   `help:"Type of the ids: face, event, attribute, face_external_id, event_external_id or event_track_id (default: face, with --type body event). All arguments are then ids." placeholder:"TYPE"`
	Version   uint32   `help:"Descriptor version of a vector file, or the version that the object must have." placeholder:"N"`
	Together  bool     `help:"Treat all references, at most 32, as pictures of one person."`
	Fuse      string   `help:"How --together rates a match: best, by its smallest distance to a reference, or mean, by its mean similarity to all references (default: best)." placeholder:"best|mean"`
	Explain   bool     `help:"Explain each answer: the matchers, the prefilters, rows, scan and time. With --json, the answers contain their plans."`
	JSON      bool     `help:"Print the server's answers as one JSON array."`
}

// Help is printed below the flags.
func (*matchCmd) Help() string {
	return `Examples:

    nearside match 5dc73618-3df8-563e-bc95-4cff773c93ec --limit 3 --exclude-self
    nearside match queries.bvecs --version 1128 --list 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e
    nearside match queries.bvecs --version 1128 --explain
    nearside match --reference face_external_id gate-7 --filter age__gte=18 --threshold 0.8 --group external_id
    nearside match --type body 7b1c2f0e-5b0a-4c58-9d57-0a3f5f0c9a11 --filter sources='["cam-1", "cam-2"]' --count

Every row of a file is a reference. --explain marks the matcher that answered with *.

Answers are printed as they arrive. If the command fails or is interrupted, the message says how many references were answered before.

Exit codes: 0 all references were answered, 1 failed, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// batchReferences is the maximum number of references in a request.
const batchReferences = 64

// Run matches the references.
func (c *matchCmd) Run(s *system) error {
	if err := c.checkFlags(); err != nil {
		return err
	}
	origin, err := c.originOf(c.Type)
	if err != nil {
		return err
	}
	set, err := c.set(origin)
	if err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	refs, batch, err := c.references(s, server)
	if err != nil {
		return err
	}
	defer refs.close()
	if c.Together {
		refs, batch = &together{from: refs, fuse: c.Fuse}, 1
	}
	out := c.printer(s.stdout, origin)
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

// checkFlags checks flags that depend on each other.
func (c *matchCmd) checkFlags() error {
	switch {
	case c.Fuse != "" && !c.Together:
		return usagef("--fuse: must be given with --together only")
	case c.Fuse != "" && c.Fuse != "best" && c.Fuse != "mean":
		return usagef("--fuse: must be best or mean, got %q", c.Fuse)
	case len(c.Targets) > 0 && !c.JSON:
		return usagef("--targets: needs --json; the table has columns of its own")
	case c.Reference != "" && !slices.Contains(referenceTypes, matcher.ReferenceType(c.Reference)):
		return usagef("--reference: must be one of %s, got %q", joinTypes(referenceTypes), c.Reference)
	}
	return nil
}

// ask sends one request and prints its answer.
func (c *matchCmd) ask(s *system, server *client, asked []*reference, set map[string]any, out printer) error {
	path := "/1/matcher/faces"
	if c.Type == matcher.BodyDescriptor.String() {
		path = "/1/matcher/bodies"
	}
	data, err := server.call(s.ctx, http.MethodPost, path, c.query(), map[string]any{
		"references": asked, "candidates": []any{set},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", asked[0].ID, err)
	}
	return out.answer(data)
}

func (c *matchCmd) printer(w io.Writer, o matcher.Origin) printer {
	switch {
	case c.JSON:
		return &jsonPrinter{w: w}
	case c.Explain:
		return &explainPrinter{w: w}
	default:
		return &tablePrinter{w: w, idField: o.Singular() + "_id", offset: c.Offset, grouped: c.Group != ""}
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
