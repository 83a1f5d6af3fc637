package ns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of iterators of ns.store.
const (
	scanRows  = 1000    // rows of a page
	scanTexts = 4 << 20 // bytes of the texts and descriptors in a page, except in a page of one object
	openPages = 8       // pages that the iterators of one plugin hold together
)

// scanFunction returns ns.store.faces, events or attributes.
func scanFunction(o matcher.Origin) vm.Function {
	descriptors := "descriptor"
	if o == matcher.Events {
		descriptors = "face_descriptor and body_descriptor"
	}
	return vm.Function{
		Name: o.String(), Params: []string{"query?: {filters: table?, fields: string[]?, limit: integer?, account_id: string?}"},
		Returns: []string{"fun(): table?"},
		Doc: fmt.Sprintf("Returns an iterator over the %s that pass filters, in the order of ids. fields names the fields of the objects, and %s; without it, an object has all fields and descriptors. "+
			"The iterator waits while it reads each page of up to %d objects. It returns no object twice. It may miss objects that are stored during the iteration.", o, descriptors, scanRows),
		Run: storeFunction(func(c *vm.Call, s *objectStore) error {
			sc, err := newScan(c, s, c.Map(1), &objectPages{origin: o})
			if err != nil {
				return err
			}
			sc.id = o.Singular() + "_id"
			return sc.returnIterator(c)
		}),
	}
}

// A pageReader reads pages of what an iterator returns.
type pageReader interface {
	// prepare checks the options of the iterator. body is the body of a request for
	// objects.
	prepare(s *objectStore, body []byte, fields []string) error
	// read returns up to size rows with IDs after after; nil: from the first one.
	read(ctx context.Context, s *objectStore, sc *scan, size int) ([]scanRow, error)
}

// scanRow is a row of a page.
type scanRow struct {
	id   matcher.ID
	text []byte // JSON
}

// A scan is an iterator over stored objects or lists. Only its state's calls use it, except
// for rows.
type scan struct {
	store   *objectStore
	pages   *pageCache
	reader  pageReader
	body    string   // of a request for objects; it is decoded for each page, so that only the text is kept
	fields  []string // nil: all
	id      string   // the name of the field with the ID, which is always returned
	account *matcher.ID
	left    int // rows that the iterator may still return
	after   *matcher.ID
	size    int  // of the next page
	ended   bool // the last page was read
	busy    bool // a call reads a page

	rows []scanRow // the rest of the current page; pages.mu protects it
}

// newScan reads the options of an iterator. Wrong options are a mistake of the plugin's
// author and are raised.
func newScan(c *vm.Call, s *objectStore, query map[string]any, reader pageReader) (*scan, error) {
	o := &goval.Reader{Map: query}
	o.RefuseUnknown("filters", "fields", "limit", "account_id")
	sc := &scan{store: s, pages: &self(c).Plugin.pages, reader: reader, size: scanRows}
	sc.left = o.Whole("limit", maxScan, 0, maxScan)
	if o.Map["fields"] != nil {
		sc.fields = append([]string{}, o.Texts("fields", nil)...)
	}
	account, err := readAccount(o)
	if err := errors.Join(append(o.Faults, err)...); err != nil {
		return nil, err
	}
	sc.account = account
	body := map[string]any{}
	if given := o.Map["filters"]; given != nil {
		body["filters"] = filtersOf(given)
	}
	text, err := bodyOf(body)
	if err != nil {
		return nil, err
	}
	sc.body = string(text)
	return sc, reader.prepare(s, text, sc.fields)
}

// maxScan is the largest limit of an iterator.
const maxScan = 1 << 53

// returnIterator returns the iterator to the script.
func (sc *scan) returnIterator(c *vm.Call) error {
	return c.Return(vm.Closure{Holds: sc.body, Run: sc.next})
}

// next returns the next row to the script, or nil at the end.
func (sc *scan) next(c *vm.Call) error {
	if sc.busy {
		return errors.New("another task is using this iterator; each task needs its own")
	}
	row, ok := sc.pages.take(sc)
	if !ok && sc.left > 0 && !sc.ended {
		sc.busy = true
		var rows []scanRow
		err := c.Wait(func(ctx context.Context) (err error) {
			rows, err = sc.readPage(ctx)
			return err
		})
		sc.busy = false
		if err != nil {
			return err
		}
		sc.pages.put(sc, rows)
		row, ok = sc.pages.take(sc)
	}
	if !ok || sc.left == 0 {
		return c.Return(nil)
	}
	sc.left--
	sc.after = &row.id
	if err := chargeDecoding(c, row.text); err != nil {
		return err
	}
	v, err := goval.DecodeJSON(row.text)
	if err != nil {
		return err
	}
	if fields, ok := v.(map[string]any); ok && sc.fields != nil {
		maps.DeleteFunc(fields, func(name string, _ any) bool { return name != sc.id && !slices.Contains(sc.fields, name) })
	}
	return c.Return(v)
}

// errPageTooLarge means that the texts of a page have more than scanTexts bytes.
var errPageTooLarge = errors.New("the page is too large")

// readPage reads the next page. Pages of large objects have fewer rows.
func (sc *scan) readPage(ctx context.Context) ([]scanRow, error) {
	for {
		size, used := min(sc.size, sc.left), 0
		limited := ctx
		if size > 1 {
			limited = matcher.WithTextRoom(ctx, func(bytes int) error {
				if used += bytes; used > scanTexts {
					return errPageTooLarge
				}
				return nil
			})
		}
		rows, err := sc.reader.read(limited, sc.store, sc, size)
		switch {
		case errors.Is(err, errPageTooLarge):
			sc.size = size / 2
			continue
		case err != nil:
			return nil, err
		}
		sc.ended = len(rows) < size
		sc.size = min(2*sc.size, scanRows)
		return rows, nil
	}
}

// objectPages reads pages of objects.
type objectPages struct {
	origin      matcher.Origin
	descriptors [matcher.DescriptorTypes]bool // those that the objects have
}

func (p *objectPages) prepare(s *objectStore, body []byte, fields []string) error {
	known := wire.FieldNames(p.origin)
	for t, name := range wire.DescriptorNames(p.origin) {
		p.descriptors[t] = name != "" && (fields == nil || slices.Contains(fields, name))
		if name != "" {
			known = append(known, name)
		}
	}
	if err := checkFields(p.origin.String(), fields, known); err != nil {
		return err
	}
	_, err := s.Decoder().Find(p.origin, wire.JSON, body)
	return err
}

// checkFields refuses fields that objects do not have.
func checkFields(objects string, fields, known []string) error {
	for i, name := range fields {
		if !slices.Contains(known, name) {
			return fmt.Errorf("fields[%d]: %q is not a field of %s%s", i+1, goval.Shorten(name), objects, goval.DidYouMean(name, known))
		}
	}
	return nil
}

func (p *objectPages) read(ctx context.Context, s *objectStore, sc *scan, size int) ([]scanRow, error) {
	req, err := s.Decoder().Find(p.origin, wire.JSON, []byte(sc.body))
	if err != nil {
		return nil, err
	}
	with := slices.Contains(p.descriptors[:], true)
	objects, _, err := s.Objects.Page(ctx, p.origin, &req.Filter, sc.account, matcher.Page{Size: size, After: sc.after, Descriptors: with})
	if err != nil {
		return nil, err
	}
	form := wire.NoDescriptors
	if with {
		form = wire.BinaryDescriptors
	}
	rows := make([]scanRow, len(objects))
	for i := range objects {
		for t, wanted := range p.descriptors {
			if !wanted {
				objects[i].Descriptors[t] = matcher.Descriptor{}
			}
		}
		rows[i] = scanRow{objects[i].ID, wire.AppendObject(nil, wire.JSON, &objects[i], sc.fields, form)}
	}
	return rows, nil
}

// listFields are the fields of lists.
var listFields = []string{"list_id", "account_id", "user_data", "create_time", "face_count"}

// listPages reads pages of lists.
type listPages struct{ counts bool }

func (p *listPages) prepare(_ *objectStore, _ []byte, fields []string) error {
	p.counts = fields == nil || slices.Contains(fields, "face_count")
	return checkFields("lists", fields, listFields)
}

func (p *listPages) read(ctx context.Context, s *objectStore, sc *scan, size int) ([]scanRow, error) {
	lists, _ := s.Objects.Lists(sc.account, matcher.Page{Size: size, After: sc.after})
	rows, bytes := make([]scanRow, len(lists)), 0
	for i, l := range lists {
		if bytes += len(l.UserData); bytes > scanTexts && i > 0 {
			return nil, errPageTooLarge
		}
		answer := wire.ListAnswer{List: l}
		if p.counts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			_, answer.FaceCount, _ = s.Objects.List(ctx, l.ID, sc.account) // 0 faces if the list was deleted in the meantime
		}
		rows[i] = scanRow{l.ID, wire.AppendList(nil, wire.JSON, answer)}
	}
	return rows, nil
}

// listScan implements ns.store.lists.
func listScan(c *vm.Call, s *objectStore) error {
	query := c.Map(1)
	if given := query["filters"]; given != nil {
		fields, ok := filtersOf(given).(map[string]any)
		account := fields["account_id"]
		if !ok && given != (vm.Empty{}) || len(fields) > 1 || len(fields) == 1 && account == nil {
			return errors.New("filters: lists can only be filtered by account_id")
		}
		if account != nil && query["account_id"] != nil && account != query["account_id"] {
			return errors.New("filters.account_id: must not differ from account_id")
		}
		delete(query, "filters")
		if account != nil {
			query["account_id"] = account
		}
	}
	sc, err := newScan(c, s, query, &listPages{})
	if err != nil {
		return err
	}
	sc.id = "list_id"
	return sc.returnIterator(c)
}

// A pageCache holds the pages of the iterators of a plugin, at most openPages. An iterator
// whose page was removed reads the rest of it again. So iterators that a script does not
// finish use little memory, however many there are.
type pageCache struct {
	mu     sync.Mutex
	recent []*scan // the scans with a page, the least recently used one first
}

// put sets the page of sc.
func (p *pageCache) put(sc *scan, rows []scanRow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(sc)
	if len(rows) == 0 {
		return
	}
	if len(p.recent) == openPages {
		p.evict(p.recent[0])
	}
	sc.rows = rows
	p.recent = append(p.recent, sc)
}

// take removes the first row from the page of sc and returns it, if there is one.
func (p *pageCache) take(sc *scan) (row scanRow, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(sc.rows) == 0 {
		return row, false
	}
	row, sc.rows = sc.rows[0], sc.rows[1:]
	p.forget(sc)
	if len(sc.rows) > 0 {
		p.recent = append(p.recent, sc)
	}
	return row, true
}

// evict removes the page of sc, which has unread rows.
func (p *pageCache) evict(sc *scan) {
	p.forget(sc)
	sc.rows = nil
}

func (p *pageCache) forget(sc *scan) {
	p.recent = slices.DeleteFunc(p.recent, func(other *scan) bool { return other == sc })
}
