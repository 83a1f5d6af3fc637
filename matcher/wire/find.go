package wire

import (
	"slices"
	"strings"

	"nearside/matcher"
)

// The bounds of pages.
const (
	pageMax         = 1 << 40
	pageSizeMax     = 1000
	pageSizeDefault = 10
)

// FindRequest asks for a page of the objects that pass a filter.
type FindRequest struct {
	Filter  matcher.Filter
	Page    matcher.Page
	Targets []string // fields of the objects; nil: all
}

// FindParameters are the parameters of a query that are not filters.
var FindParameters = []string{"page", "page_size", "after", "order", "targets"}

// findFields are the fields of a request for objects.
var findFields = append([]string{"filters"}, FindParameters...)

// Find reads the body of a request for objects of o. A null field is absent.
func (d *Decoder) Find(o matcher.Origin, f Format, body []byte) (*FindRequest, error) {
	in := newFindInput(o)
	b := binder{Decoder: d, now: d.Now()}
	err := d.decode(f, body, func(v value) error {
		err := v.nullableFields(func(key string, v value) (err error) {
			switch {
			case !slices.Contains(findFields, key):
				err = errUnknownField
			case v.absent():
			case key == "filters":
				in.Filter, err = b.routeFilters(o, v)
			default:
				err = in.field(key, v)
			}
			return err
		})
		if err == nil {
			err = in.finish()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &in.FindRequest, nil
}

// QueryFind reads a request for objects of o from a query. Each name in
// parameters is one of FindParameters.
func (d *Decoder) QueryFind(o matcher.Origin, parameters, filters Query) (*FindRequest, error) {
	in := newFindInput(o)
	b := binder{Decoder: d, now: d.Now()}
	for _, key := range FindParameters {
		if parameters[key] == nil {
			continue
		}
		if err := in.queryField(&b, key, parameters[key]); err != nil {
			return nil, clientError(within(key, err))
		}
	}
	if err := in.finish(); err != nil {
		return nil, clientError(err)
	}
	var err error
	in.Filter, err = d.QueryFilter(o, filters)
	return &in.FindRequest, err
}

// Delete reads the body of a request to delete objects of o. A null field is
// absent.
func (d *Decoder) Delete(o matcher.Origin, f Format, body []byte) (matcher.Filter, error) {
	var filter matcher.Filter
	given := false
	b := binder{Decoder: d, now: d.Now()}
	err := d.decode(f, body, func(v value) error {
		err := v.nullableFields(func(key string, v value) (err error) {
			switch {
			case key != "filters":
				err = errUnknownField
			case !v.absent():
				given = true
				filter, err = b.routeFilters(o, v)
			}
			return err
		})
		return orRequired(err, requirement{"filters", !given})
	})
	return filter, err
}

// routeFilters reads a filters object on a route for objects of o. The origin may be
// left out there.
func (b *binder) routeFilters(o matcher.Origin, v value) (matcher.Filter, error) {
	if v.kind() == kindObject {
		if named, ok := v.field("origin"); ok {
			if text, err := named.text(); err != nil || text != o.String() {
				return matcher.Filter{}, within("origin", badInput("must be %s on this route, got %s", o, named.quote()))
			}
		}
	}
	return b.bindFilters(o, v)
}

// findInput is a FindRequest while it is being read.
type findInput struct {
	FindRequest
	origin   matcher.Origin
	page     int64 // from 1; 0: not given
	pageSize int64
}

func newFindInput(o matcher.Origin) *findInput {
	return &findInput{origin: o, pageSize: pageSizeDefault}
}

// field reads one of FindParameters.
func (in *findInput) field(key string, v value) (err error) {
	switch key {
	case "page":
		in.page, err = v.integer(1, pageMax)
	case "page_size":
		in.pageSize, err = v.integer(1, pageSizeMax)
	case "after":
		var id matcher.ID
		id, err = v.id()
		in.Page.After = &id
	case "order":
		in.Page.Order, err = readPageOrder(v)
	case "targets":
		in.Targets, err = pageTargets(in.origin, v)
	}
	return err
}

// queryField reads one of FindParameters from a query.
func (in *findInput) queryField(b *binder, key string, occurrences []string) error {
	if key == "targets" { // names contain no commas, so commas can separate them
		v, err := b.queryList(formID, key, occurrences)
		if err != nil {
			return err
		}
		return in.field(key, v)
	}
	if err := onlyOne(occurrences); err != nil {
		return err
	}
	form := formText
	if strings.HasPrefix(key, "page") {
		form = formInteger
	}
	return in.field(key, value{[]node{queryNode(form, occurrences[0])}})
}

// finish checks fields that depend on each other and sets the page.
func (in *findInput) finish() error {
	switch {
	case in.Page.After != nil && in.page != 0:
		return within("after", badInput("must not be given together with page, got %s and page %d", in.Page.After, in.page))
	case in.Page.After != nil && in.Page.Order != matcher.PageByID:
		return within("after", badInput("needs order id, got %s and order %s", in.Page.After, in.Page.Order))
	}
	in.Page.Size = int(in.pageSize)
	in.Page.Offset = int((max(in.page, 1) - 1) * in.pageSize)
	return nil
}

func readPageOrder(v value) (matcher.PageOrder, error) {
	if s, err := v.text(); err == nil {
		if o, err := matcher.ParsePageOrder(s); err == nil {
			return o, nil
		}
	}
	return 0, v.mustBe("one of id, create_time_asc, create_time_desc")
}

// pageTargets reads the targets of a page, which are names of fields of objects of o.
func pageTargets(o matcher.Origin, v value) ([]string, error) {
	names := targetNames[o][:len(targetNames[o])-2] // without similarity and distance
	targets := []string{}
	err := v.array(func(_ int, v value) error {
		s, err := v.text()
		if err != nil {
			return err
		}
		i := slices.Index(names, s)
		if i < 0 {
			return v.mustBe("one of " + strings.Join(names, ", "))
		}
		if !slices.Contains(targets, names[i]) {
			targets = append(targets, names[i])
		}
		return nil
	})
	return targets, err
}
