package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"nearside/matcher"
)

// pageFlags are the flags of the commands that print pages.
type pageFlags struct {
	PageSize *int   `help:"Number of objects of a page, 1 to 1000 (default: 10, with --all 1000)." placeholder:"N"`
	Page     *int   `help:"Number of the page, from 1." placeholder:"N"`
	After    string `help:"Print the page that follows this id in the order of ids." placeholder:"ID"`
	All      bool   `help:"Print all pages."`
}

func (p *pageFlags) check() error {
	switch {
	case p.PageSize != nil && (*p.PageSize < 1 || *p.PageSize > 1000):
		return usagef("--page-size: must be an integer from 1 to 1000, got %d", *p.PageSize)
	case p.Page != nil && *p.Page < 1:
		return usagef("--page: must be above 0, got %d", *p.Page)
	case p.All && p.Page != nil:
		return usagef("--page: must not be given together with --all")
	case p.After != "" && p.Page != nil:
		return usagef("--page: must not be given together with --after")
	}
	if p.After != "" {
		if _, err := matcher.ParseID(p.After); err != nil {
			return usagef("--after: %v", err)
		}
	}
	return nil
}

// fields returns the fields of a request for a page.
func (p *pageFlags) fields() map[string]any {
	fields := map[string]any{}
	if p.PageSize != nil {
		fields["page_size"] = *p.PageSize
	} else if p.All {
		fields["page_size"] = 1000
	}
	if p.Page != nil {
		fields["page"] = *p.Page
	}
	if p.After != "" {
		fields["after"] = p.After
	}
	return fields
}

type objectFindCmd struct {
	remoteFlag
	resource resource
	filterFlag
	pageFlags
	Order      string   `help:"Order of the objects: ${enum}." enum:"id,create_time_asc,create_time_desc" default:"id"`
	Targets    []string `help:"Fields of the objects to print (default: all)." placeholder:"FIELD"`
	Descriptor bool     `help:"Print descriptors, too."`
}

// Help is printed below the flags.
func (c *objectFindCmd) Help() string {
	return fmt.Sprintf(`Examples:

    nearside %[1]s find --filter age__gte=18 --filter external_ids='["a", "b"]'
    nearside %[1]s find --order create_time_desc --page-size 100 --targets create_time
    nearside %[1]s find --all --descriptor

Each object is printed as one line of JSON. If there are more objects than the page has, a note on the standard error says so.

%[2]s`, c.resource.name, commonExitCodes)
}

// Run prints the objects.
func (c *objectFindCmd) Run(s *system) error {
	filters, err := c.filters(c.resource.origin)
	if err != nil {
		return err
	}
	if c.Order != "id" && (c.All || c.After != "") {
		return usagef("--order: must be id with --all and --after, got %s", c.Order)
	}
	query := url.Values{}
	if c.Descriptor {
		query.Set("descriptor", "1")
	}
	ask := func(server *client, fields map[string]any) ([]byte, error) {
		if len(filters) > 0 {
			fields["filters"] = filters
		}
		if c.Order != "id" {
			fields["order"] = c.Order
		}
		if len(c.Targets) > 0 {
			fields["targets"] = c.Targets
		}
		return server.call(s.ctx, http.MethodPost, c.resource.path+"/find", query, fields)
	}
	return printPages(s, &c.remoteFlag, c.resource, &c.pageFlags, ask)
}

// printPages prints one page, or all pages. ask sends the request for a page.
func printPages(s *system, remote *remoteFlag, r resource, p *pageFlags, ask func(*client, map[string]any) ([]byte, error)) error {
	if err := p.check(); err != nil {
		return err
	}
	server, err := remote.client(s)
	if err != nil {
		return err
	}
	fields := p.fields()
	for {
		data, err := ask(server, fields)
		if err != nil {
			return err
		}
		page, err := parsePage(r, data)
		if err != nil {
			return err
		}
		for _, object := range page.objects {
			if err := printLine(s, object); err != nil {
				return err
			}
		}
		if !p.All {
			return page.note(s, r, p)
		}
		if len(page.objects) == 0 || page.hasAll() {
			return nil
		}
		fields = p.fields()
		fields["after"] = page.last
	}
}

// page is a page of objects.
type page struct {
	objects []json.RawMessage
	last    string // id of the last object
	count   int64  // of all objects that pass the filters; -1: the page has no count
}

func parsePage(r resource, data []byte) (*page, error) {
	p := &page{count: -1}
	var answer map[string]json.RawMessage
	err := json.Unmarshal(data, &answer)
	if err == nil {
		err = json.Unmarshal(answer[r.plural], &p.objects)
	}
	if count := answer["count"]; err == nil && count != nil {
		err = json.Unmarshal(count, &p.count)
	}
	if n := len(p.objects); err == nil && n > 0 {
		var last map[string]json.RawMessage
		if err = json.Unmarshal(p.objects[n-1], &last); err == nil {
			err = json.Unmarshal(last[r.idField()], &p.last)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("server: %s: %w", r.path, err)
	}
	return p, nil
}

// hasAll reports whether the page is known to have all objects.
func (p *page) hasAll() bool { return p.count >= 0 && int64(len(p.objects)) >= p.count }

// note prints how many objects there are, if the page does not have all of them.
func (p *page) note(s *system, r resource, flags *pageFlags) error {
	var err error
	switch {
	case p.count >= 0 && !p.hasAll():
		_, err = fmt.Fprintf(s.stderr, "nearside: %d of %d %s were printed; --all prints all, --page others\n", len(p.objects), p.count, r.plural)
	case flags.After != "" && len(p.objects) > 0:
		_, err = fmt.Fprintf(s.stderr, "nearside: --after %s prints the next page\n", p.last)
	}
	return err
}

// printLine prints the JSON of an object as one line.
func printLine(s *system, object []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, object); err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := s.stdout.Write(line.Bytes())
	return err
}
