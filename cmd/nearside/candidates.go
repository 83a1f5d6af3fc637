package main

import (
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
)

// candidateFlags are the flags of a match that describe its candidate set.
type candidateFlags struct {
	filterFlag
	List        string   `help:"Only the faces of this list." placeholder:"ID"`
	Origin      string   `help:"Origin of the candidates: faces, events or attributes (default: faces, with --type body events)." enum:",faces,events,attributes" default:"" placeholder:"ORIGIN"`
	Limit       int      `help:"Maximum number of matches per reference." default:"5" placeholder:"K"`
	Offset      int      `help:"Skip this many matches (groups) of each reference." placeholder:"N"`
	Threshold   *float64 `help:"Only matches with at least this similarity, 0 to 1." placeholder:"S"`
	Order       string   `help:"Order of the matches: similarity, create_time_asc or create_time_desc (default: similarity)." enum:",similarity,create_time_asc,create_time_desc" default:"" placeholder:"ORDER"`
	Group       string   `help:"Group the matches by a field: external_id, user_data, face_id, track_id or source. SIZE is the maximum number of matches per group (default: 1); --limit then counts groups." placeholder:"FIELD[:SIZE]"`
	Count       bool     `help:"Print the number of all matches (groups), without --limit and --offset."`
	ExcludeSelf bool     `help:"Leave out the object that is the reference itself."`
	Targets     []string `help:"Fields of the matches, with --json (default: id, external_id, similarity, distance)." placeholder:"FIELD"`
}

// originOf returns the origin of the candidates of a match of descriptors of type t.
func (c *candidateFlags) originOf(t string) (matcher.Origin, error) {
	switch {
	case c.Origin != "":
		return matcher.ParseOrigin(c.Origin)
	case t == matcher.BodyDescriptor.String():
		return matcher.Events, nil
	}
	return matcher.Faces, nil
}

// set returns the candidate set of a request.
func (c *candidateFlags) set(o matcher.Origin) (map[string]any, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	filters, err := c.filters(o)
	if err != nil {
		return nil, err
	}
	if err := filters.addText("--origin", "origin", o.String()); err != nil {
		return nil, err
	}
	if c.List != "" {
		id, err := matcher.ParseID(c.List)
		switch {
		case err != nil:
			return nil, usagef("--list: %v", err)
		case o != matcher.Faces:
			return nil, usagef("--list: must not be given for %s; only faces are in lists", o)
		}
		if err := filters.addText("--list", "list_id", id.String()); err != nil {
			return nil, err
		}
	}
	set := map[string]any{"filters": filters, "limit": c.Limit, "targets": c.targets(o)}
	if c.Offset > 0 {
		set["offset"] = c.Offset
	}
	if c.Threshold != nil {
		set["threshold"] = *c.Threshold
	}
	if c.Order != "" {
		set["order"] = c.Order
	}
	if c.Count {
		set["count"] = true
	}
	if c.ExcludeSelf {
		set["exclude_self"] = true
	}
	if c.Group != "" {
		if set["group"], err = parseGroup(c.Group); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (c *candidateFlags) check() error {
	switch {
	case c.Limit < 1:
		return usagef("--limit: must be above 0, got %d", c.Limit)
	case c.Offset < 0:
		return usagef("--offset: must be at least 0, got %d", c.Offset)
	case c.Threshold != nil && !(*c.Threshold >= 0 && *c.Threshold <= 1):
		return usagef("--threshold: must be a number from 0 to 1, got %v", *c.Threshold)
	}
	return nil
}

// targets returns the fields of the matches.
func (c *candidateFlags) targets(o matcher.Origin) []string {
	if len(c.Targets) > 0 {
		return c.Targets
	}
	targets := []string{o.Singular() + "_id", "external_id", "similarity", "distance"}
	if o == matcher.Attributes { // they have no external_id
		targets = slices.Delete(targets, 1, 2)
	}
	return targets
}

// parseGroup reads the flag --group. The server checks the field.
func parseGroup(text string) (map[string]any, error) {
	field, size, hasSize := strings.Cut(text, ":")
	group := map[string]any{"by": field}
	if hasSize {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 || n > matcher.GroupSizeMax {
			return nil, usagef("--group: the size must be an integer from 1 to %d, got %q", matcher.GroupSizeMax, size)
		}
		group["size"] = n
	}
	if field == "" {
		return nil, usagef("--group: must be FIELD or FIELD:SIZE, got %q", text)
	}
	return group, nil
}
