package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"nearside/matcher"
)

// resource is a kind of object on a server.
type resource struct {
	name   string // "face"
	path   string // "/1/faces"
	plural string // "faces", which is also the field of a page
	origin matcher.Origin
}

func resourceOf(o matcher.Origin) resource {
	return resource{name: o.Singular(), path: "/1/" + o.String(), plural: o.String(), origin: o}
}

func (r resource) idField() string { return r.name + "_id" }

// objectCmd are the commands of one kind of object.
type objectCmd struct {
	Get    objectGetCmd    `cmd:"" help:"Print objects by id."`
	Put    objectPutCmd    `cmd:"" help:"Create or replace objects."`
	Delete objectDeleteCmd `cmd:"" help:"Delete objects by id or by filters."`
	Find   objectFindCmd   `cmd:"" help:"Print the objects that pass filters, page by page."`
}

func newObjectCmd(o matcher.Origin) objectCmd {
	r := resourceOf(o)
	return objectCmd{objectGetCmd{resource: r}, objectPutCmd{resource: r}, objectDeleteCmd{resource: r}, objectFindCmd{resource: r}}
}

// attributeCmd are the commands of attributes, whose put has a flag more.
type attributeCmd struct {
	Get    objectGetCmd    `cmd:"" help:"Print objects by id."`
	Put    attributePutCmd `cmd:"" help:"Create or replace objects."`
	Delete objectDeleteCmd `cmd:"" help:"Delete objects by id or by filters."`
	Find   objectFindCmd   `cmd:"" help:"Print the objects that pass filters, page by page."`
}

func newAttributeCmd() attributeCmd {
	c := newObjectCmd(matcher.Attributes)
	return attributeCmd{c.Get, attributePutCmd{objectPutCmd: c.Put}, c.Delete, c.Find}
}

// commonExitCodes is the end of the help of all commands that read or write objects.
const commonExitCodes = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 SIGINT, 143 SIGTERM."

// parseIDs reads the ids of a command line.
func parseIDs(texts []string) ([]matcher.ID, error) {
	ids := make([]matcher.ID, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = matcher.ParseID(text); err != nil {
			return nil, usagef("id: %v", err)
		}
	}
	return ids, nil
}

type objectGetCmd struct {
	remoteFlag
	resource   resource
	IDs        []string `arg:"" name:"id" help:"Ids of the objects."`
	Descriptor bool     `help:"Print descriptors, too."`
}

// Help is printed below the flags.
func (c *objectGetCmd) Help() string {
	return fmt.Sprintf(`Example:

    nearside %s get 5dc73618-3df8-563e-bc95-4cff773c93ec --descriptor

Each object is printed as one line of JSON, in the order of the ids. The command ends at the first id that does not exist.

%s`, c.resource.name, commonExitCodes)
}

// Run prints the objects.
func (c *objectGetCmd) Run(s *system) error {
	query := url.Values{}
	if c.Descriptor {
		query.Set("descriptor", "1")
	}
	return getObjects(s, &c.remoteFlag, c.resource, c.IDs, query)
}

// getObjects prints the objects with these ids.
func getObjects(s *system, remote *remoteFlag, r resource, texts []string, query url.Values) error {
	ids, err := parseIDs(texts)
	if err != nil {
		return err
	}
	server, err := remote.client(s)
	if err != nil {
		return err
	}
	for _, id := range ids {
		data, err := server.call(s.ctx, http.MethodGet, r.path+"/"+id.String(), query, nil)
		if err == nil {
			err = printLine(s, data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

type objectDeleteCmd struct {
	remoteFlag
	resource resource
	filterFlag
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of the objects."`
	Yes bool     `help:"Confirm that all objects that pass the filters shall be deleted."`
}

// Help is printed below the flags.
func (c *objectDeleteCmd) Help() string {
	return fmt.Sprintf(`Examples:

    nearside %[1]s delete 5dc73618-3df8-563e-bc95-4cff773c93ec
    nearside %[1]s delete --filter create_time__lt=2026-01-01T00:00:00Z --yes

With ids, the objects are deleted one after the other. The command ends at the first id that does not exist. With filters, all objects that pass are deleted, so --yes is required; %[1]s find with the same filters shows them. The output is JSON with the number of deleted objects.

%[2]s`, c.resource.name, commonExitCodes)
}

// Run deletes the objects.
func (c *objectDeleteCmd) Run(s *system) error {
	filters, err := c.filters(c.resource.origin)
	switch {
	case err != nil:
		return err
	case len(c.IDs) > 0 && len(filters) > 0:
		return usagef("--filter: must not be given together with ids")
	case len(c.IDs) > 0 && c.Yes:
		return usagef("--yes: must be given with --filter only")
	case len(c.IDs) > 0:
		return deleteObjects(s, &c.remoteFlag, c.resource, c.IDs, nil)
	case len(filters) == 0:
		return usagef("expected ids or --filter")
	case !c.Yes:
		return usagef("--filter: add --yes to delete all %s that pass; nearside %s find with the same filters shows them", c.resource.plural, c.resource.name)
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	data, err := server.call(s.ctx, http.MethodPost, c.resource.path+"/delete", nil, map[string]any{"filters": filters})
	if err != nil {
		return err
	}
	return printLine(s, data)
}

// deleteObjects deletes the objects with these ids, and prints their number.
func deleteObjects(s *system, remote *remoteFlag, r resource, texts []string, query url.Values) error {
	ids, err := parseIDs(texts)
	if err != nil {
		return err
	}
	server, err := remote.client(s)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if _, err := server.call(s.ctx, http.MethodDelete, r.path+"/"+id.String(), query, nil); err != nil {
			return stoppedAfter(fmt.Errorf("%s: %w", id, err), "deleted", i, r)
		}
	}
	return printJSON(s, map[string]int{"deleted": len(ids)})
}

// stoppedAfter adds the number of objects that were done before err.
func stoppedAfter(err error, done string, n int, r resource) error {
	if n == 0 {
		return err
	}
	return fmt.Errorf("%w\nthe first %d %s were %s", err, n, r.plural, done)
}

// printJSON prints v as one line of JSON.
func printJSON(s *system, v any) error { return json.NewEncoder(s.stdout).Encode(v) }
