package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// remotesConfig is serveConfig with version 1002 for bodies, and short
// deadlines.
const remotesConfig = serveConfig + `    - {number: 1002, type: body, encoding: uint8, length: 16, scale: 1, similarity: {midpoint: 1000, steepness: 0.01}}
limits: {request_timeout: 10s}
`

// Lists of the tests: of the server that is asked, of east, of both remotes,
// of west, and one that nobody knows.
const (
	listHere    = "10000000-0000-4000-8000-000000000000"
	listEast    = "10000000-0000-4000-8000-000000000001"
	listBoth    = "10000000-0000-4000-8000-000000000002"
	listWest    = "10000000-0000-4000-8000-000000000003"
	listNowhere = "10000000-0000-4000-8000-000000000004"

	accountA = "aaaaaaaa-0000-4000-8000-000000000000"
	accountB = "bbbbbbbb-0000-4000-8000-000000000000"
)

// places are the servers, the one that is asked first.
var places = []string{"here", "east", "west"}

// thing is a face, an event or an attribute, and the servers that have it.
type thing struct {
	at                          []string
	origin                      string
	id, account, external, data string // data is user_data
	track                       string
	second                      int // of create_time
	lists                       []string
	face, body                  string // descriptors of 16 bytes, or none
}

// id makes an ID of which the tests can tell what it is of.
func id(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

func (o *thing) json() map[string]any {
	single := strings.TrimSuffix(o.origin, "s")
	m := map[string]any{single + "_id": o.id, "create_time": o.time()}
	put := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	put("account_id", o.account)
	if o.origin != "attributes" {
		put("external_id", o.external)
		put("user_data", o.data)
	}
	descriptor := "descriptor"
	switch o.origin {
	case "faces":
		m["lists"] = append([]string{}, o.lists...)
	case "events":
		put("track_id", o.track)
		descriptor = "face_descriptor"
		if o.body != "" {
			m["body_descriptor"] = map[string]any{"version": 1002, "data": []byte(o.body)}
		}
	}
	if o.face != "" {
		m[descriptor] = map[string]any{"version": 1001, "data": []byte(o.face)}
	}
	return m
}

func (o *thing) time() string {
	return fmt.Sprintf("2026-05-01T00:%02d:%02d.000Z", o.second/60, o.second%60)
}

func (o *thing) visible(account string) bool { return account == "" || o.account == account }

func (o *thing) descriptor(bodies bool) string {
	if bodies {
		return o.body
	}
	return o.face
}

// world is all things. It says what a server must answer that knows two
// remotes: east owns listEast and listBoth, west owns listBoth, listWest and
// all events.
type world struct{ things []*thing }

// owners returns the remotes that answer for a list.
func owners(list string) []string {
	return map[string][]string{listEast: {"east"}, listBoth: {"east", "west"}, listWest: {"west"}}[list]
}

// whose returns who answers for a set, or false when nobody can.
func (s *askedSet) whose() (string, bool) {
	if s.Filters.Origin == "events" {
		return "west", true
	}
	named := s.Filters.Lists
	if s.Filters.ListID != "" {
		named = append([]string{s.Filters.ListID}, named...)
	}
	var able []string
	for _, place := range places {
		knows := func(list string) bool {
			return slices.Contains(owners(list), place) || owners(list) == nil && place == "here"
		}
		if !slices.ContainsFunc(named, func(l string) bool { return !knows(l) }) && (place == "here" || len(named) > 0) {
			able = append(able, place)
		}
	}
	if able == nil {
		return "", false
	}
	return able[0], true
}

// askedSet is a candidate set.
type askedSet struct {
	Filters   askedFilters `json:"filters"`
	Limit     int          `json:"limit,omitempty"`
	Threshold float64      `json:"threshold,omitempty"`
	Order     string       `json:"order,omitempty"`
	Targets   []string     `json:"targets,omitzero"`
}

type askedFilters struct {
	Origin   string   `json:"origin"`
	ListID   string   `json:"list_id,omitempty"`
	Lists    []string `json:"lists,omitempty"`
	External []string `json:"external_ids,omitempty"`
}

// passes reports whether o is in the set.
func (s *askedSet) passes(o *thing) bool {
	f := &s.Filters
	in := func(list string) bool { return slices.Contains(o.lists, list) }
	return o.origin == f.Origin && (f.ListID == "" || in(f.ListID)) && (len(f.Lists) == 0 || slices.ContainsFunc(f.Lists, in)) &&
		(len(f.External) == 0 || slices.Contains(f.External, o.external))
}

// askedReference is a reference of a request.
type askedReference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func rawReference(descriptor string) askedReference {
	return askedReference{Type: "raw_descriptor", ID: "probe", Data: map[string]any{"version": 1001, "data": []byte(descriptor)}}
}

// wantReference is a reference of an answer.
type wantReference struct{ typ, id, objectID, descriptor string }

// codesNotFound are the codes of objects that do not exist.
var codesNotFound = map[string]int{"face": 22004, "event": 22007, "attribute": 22005}

// resolve returns what a reference stands for, or the code of the error.
func (w *world) resolve(r askedReference, account string, bodies bool) (found []wantReference, code int) {
	switch r.Type {
	case "raw_descriptor":
		return []wantReference{{r.Type, r.ID, "", string(r.Data.(map[string]any)["data"].([]byte))}}, 0
	case "face", "event", "attribute":
		for _, place := range places {
			for _, o := range w.things {
				if o.origin != r.Type+"s" || o.id != r.ID || !slices.Contains(o.at, place) || !o.visible(account) {
					continue
				}
				if o.descriptor(bodies) == "" {
					return nil, 22008
				}
				return []wantReference{{r.Type, r.ID, "", o.descriptor(bodies)}}, 0
			}
		}
		return nil, codesNotFound[r.Type]
	}
	for _, o := range w.things {
		same := r.Type == "face_external_id" && o.origin == "faces" && o.external == r.ID ||
			r.Type == "event_external_id" && o.origin == "events" && o.external == r.ID ||
			r.Type == "event_track_id" && o.origin == "events" && o.track == r.ID
		known := slices.ContainsFunc(found, func(f wantReference) bool { return f.objectID == o.id })
		if same && !known && o.visible(account) && o.descriptor(bodies) != "" {
			found = append(found, wantReference{r.Type, r.ID, o.id, o.descriptor(bodies)})
		}
	}
	slices.SortFunc(found, func(a, b wantReference) int { return cmp.Compare(a.objectID, b.objectID) })
	if found == nil {
		found = []wantReference{{r.Type, r.ID, "", ""}}
	}
	return found, 0
}

// wantRow is a row of an answer.
type wantRow struct {
	*thing
	distance, similarity float64
}

func apart(a, b string) (distance, similarity float64) {
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		distance += d * d
	}
	const m, k = 1000, 0.01
	return distance, (1 + math.Exp(-k*m)) / (1 + math.Exp(k*(distance-m)))
}

// rows compares a descriptor with all that a server has of a set.
func (w *world) rows(place, descriptor string, s *askedSet, account string, bodies bool) []wantRow {
	var rows []wantRow
	for _, o := range w.things {
		if !slices.Contains(o.at, place) || !s.passes(o) || !o.visible(account) || o.descriptor(bodies) == "" || descriptor == "" {
			continue
		}
		if d, similarity := apart(descriptor, o.descriptor(bodies)); similarity >= s.Threshold {
			rows = append(rows, wantRow{o, d, similarity})
		}
	}
	slices.SortFunc(rows, func(a, b wantRow) int {
		first := cmp.Compare(a.distance, b.distance)
		switch s.Order {
		case "create_time_asc":
			first = cmp.Compare(a.second, b.second)
		case "create_time_desc":
			first = cmp.Compare(b.second, a.second)
		}
		return cmp.Or(first, cmp.Compare(a.id, b.id))
	})
	return rows[:min(len(rows), cmp.Or(s.Limit, 5))]
}

// matchRequest is a whole request.
type matchRequest struct {
	References []askedReference `json:"references"`
	Candidates []askedSet       `json:"candidates"`
	account    string
	bodies     bool
}

func (r *matchRequest) path() string {
	path := "/1/matcher/faces?explain=1"
	if r.bodies {
		path = "/1/matcher/bodies?explain=1"
	}
	if r.account != "" {
		path += "&account_id=" + r.account
	}
	return path
}

// matchAnswer is what the tests read of an answer.
type matchAnswer []struct {
	Reference struct {
		Type, ID string
		ObjectID string `json:"object_id"`
	}
	Matches []struct {
		Result []answerRow
		Plan   struct {
			Matchers []planMatcher
		}
	}
}

type planMatcher struct {
	Name, Reason string
	Chosen       bool
}

type answerRow struct {
	Face, Event, Attribute map[string]any
	Similarity, Distance   *float64
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request. That there is no answer in time is a fault.
func ask(p *process, method, path string, body any) (reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	request, err := http.NewRequest(method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, text}, err
}

// code returns the code of an error in its documented shape, 0 for an answer.
func (r *reply) code() (int, error) {
	if r.status/100 == 2 {
		return 0, nil
	}
	var e struct {
		Code               int `json:"error_code"`
		Desc, Detail, Link *string
	}
	if err := json.Unmarshal(r.body, &e); err != nil || e.Code == 0 || e.Desc == nil || e.Detail == nil || e.Link == nil {
		return 0, fmt.Errorf("%d %s: %v", r.status, r.body, err)
	}
	if r.status == 503 && r.header.Get("Retry-After") == "" {
		return 0, fmt.Errorf("503 without Retry-After: %s", r.body)
	}
	status := map[int]int{12050: 503, 12060: 504, 12026: 403, 31011: 403}[e.Code]
	if status != 0 && status != r.status || *e.Link != fmt.Sprintf("/docs/errors#%d", e.Code) {
		return 0, fmt.Errorf("%d %s", r.status, r.body)
	}
	return e.Code, nil
}

// match sends a request and compares the answer with what w says. It returns
// the answer, or the code of the error: that of w, or one of others.
func (w *world) match(p *process, req *matchRequest, others ...int) (matchAnswer, int, error) {
	answer, err := ask(p, "POST", req.path(), req)
	if err != nil {
		return nil, 0, err
	}
	code, err := answer.code()
	if err != nil || slices.Contains(others, code) {
		return nil, code, err
	}
	want, wantCode := w.want(req)
	if code != wantCode {
		return nil, code, fmt.Errorf("want code %d, got %d %s", wantCode, answer.status, answer.body)
	}
	if code != 0 {
		return nil, code, nil
	}
	var got matchAnswer
	if err := json.Unmarshal(answer.body, &got); err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, answer.body)
	}
	if err := got.compare(want, req); err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, answer.body)
	}
	return got, 0, nil
}

// wantItem is an item of an answer.
type wantItem struct {
	reference wantReference
	sets      [][]wantRow
}

// want returns the answer, or the code of the error; references come first.
func (w *world) want(req *matchRequest) ([]wantItem, int) {
	var all []wantReference
	for _, ref := range req.References {
		found, code := w.resolve(ref, req.account, req.bodies)
		if code != 0 {
			return nil, code
		}
		all = append(all, found...)
	}
	items := make([]wantItem, len(all))
	for i, ref := range all {
		items[i].reference = ref
		for j := range req.Candidates {
			s := &req.Candidates[j]
			place, ok := s.whose()
			if !ok {
				return nil, 31011
			}
			items[i].sets = append(items[i].sets, w.rows(place, ref.descriptor, s, req.account, req.bodies))
		}
	}
	return items, 0
}

func (got matchAnswer) compare(want []wantItem, req *matchRequest) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d items, want %d", len(got), len(want))
	}
	for i, item := range got {
		if r := item.Reference; r.Type != want[i].reference.typ || r.ID != want[i].reference.id || r.ObjectID != want[i].reference.objectID {
			return fmt.Errorf("item %d: reference %+v, want %+v", i, r, want[i].reference)
		}
		if len(item.Matches) != len(want[i].sets) {
			return fmt.Errorf("item %d: %d sets", i, len(item.Matches))
		}
		for j, set := range item.Matches {
			rows := want[i].sets[j]
			if len(set.Result) != len(rows) {
				return fmt.Errorf("item %d, set %d: %d rows, want %d", i, j, len(set.Result), len(rows))
			}
			for k := range rows {
				if err := set.Result[k].compare(&rows[k], req.Candidates[j].Targets); err != nil {
					return fmt.Errorf("item %d, set %d, row %d: %w", i, j, k, err)
				}
			}
		}
	}
	return nil
}

func (got *answerRow) compare(want *wantRow, targets []string) error {
	object := map[string]map[string]any{"faces": got.Face, "events": got.Event, "attributes": got.Attribute}[want.origin]
	all := want.json()
	fields := map[string]any{}
	for key, value := range all {
		single := strings.TrimSuffix(want.origin, "s")
		if !strings.HasSuffix(key, "descriptor") && (targets == nil || slices.Contains(targets, key) || key == single+"_id") {
			fields[key] = value
		}
	}
	a, errA := json.Marshal(object)
	b, errB := json.Marshal(fields)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		return fmt.Errorf("it is %s, want %s", a, b)
	}
	if shown := targets == nil || slices.Contains(targets, "distance"); shown != (got.Distance != nil) || shown && *got.Distance != want.distance {
		return fmt.Errorf("distance, want %v", want.distance)
	}
	if shown := targets == nil || slices.Contains(targets, "similarity"); shown != (got.Similarity != nil) || shown && math.Abs(*got.Similarity-want.similarity) > 1e-12 {
		return fmt.Errorf("similarity, want %v", want.similarity)
	}
	return nil
}

// load stores what a server has.
func (w *world) load(t *testing.T, p *process, place string) {
	t.Helper()
	lines := map[string]*strings.Builder{"faces": {}, "events": {}}
	made := map[string]bool{} // lists, of no account, so that all may be in them
	for _, o := range w.things {
		for _, list := range o.lists {
			if slices.Contains(o.at, place) && !made[list] {
				made[list] = true
				var answer struct{}
				p.get(t, "POST", "/1/lists", map[string]any{"list_id": list}, &answer)
			}
		}
		switch {
		case !slices.Contains(o.at, place):
		case o.origin == "attributes":
			body := o.json()
			delete(body, "attribute_id")
			if answer, err := ask(p, "PUT", "/1/attributes/"+o.id+"?ttl=100000", body); err != nil || answer.status != 201 {
				t.Fatalf("%d %s %v", answer.status, answer.body, err)
			}
		default:
			lines[o.origin].Write(mustJSON(t, o.json()))
			lines[o.origin].WriteByte('\n')
		}
	}
	for origin, text := range lines {
		if text.Len() == 0 {
			continue
		}
		var answer struct {
			Accepted, Rejected int
			Errors             []any
		}
		p.get(t, "POST", "/1/import?origin="+origin, text.String(), &answer)
		if answer.Rejected != 0 || answer.Accepted != strings.Count(text.String(), "\n") {
			t.Fatalf("%+v", answer)
		}
	}
}

// serveAt starts a server on an address that it had before.
func serveAt(t *testing.T, address, config, dataDir string) *process {
	t.Helper()
	command := exec.Command("nearside", "serve", "--config", config, "--listen", address, "--data-dir", dataDir)
	command.Dir = t.TempDir()
	p := launch(t, command)
	if p.url == "" {
		t.Fatalf("the server ended with code %d:\n%s", p.wait(), p.log())
	}
	return p
}

func (p *process) address() string { return strings.TrimPrefix(p.url, "http://") }
