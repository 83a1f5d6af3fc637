package main

import (
	"bytes"
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

// matchRequest is a match request with its query parameters.
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

// matchAnswer has the parts of an answer that the tests read.
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

// reply is an undecoded answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request. It returns an error if there is no answer in time.
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

// code returns the code of an error, which must have the documented form; 0: no error.
func (r *reply) code() (int, error) {
	if r.status/100 == 2 {
		return 0, nil
	}
	var e struct {
		Code               int `json:"error_code"`
		Desc, Detail, Link *string
	}
	if json.Unmarshal(r.body, &e) != nil || e.Code == 0 || e.Desc == nil || e.Detail == nil || e.Link == nil {
		return 0, fmt.Errorf("the error does not have the documented form: %d %s", r.status, r.body)
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

// match sends a request and compares the answer with the one that w expects. It returns the
// answer, or the code of an error. The error must be the one that w expects, or have one of
// the allowed codes.
func (w *world) match(p *process, req *matchRequest, allowed ...int) (matchAnswer, int, error) {
	answer, err := ask(p, "POST", req.path(), req)
	if err != nil {
		return nil, 0, err
	}
	code, err := answer.code()
	if err != nil || slices.Contains(allowed, code) {
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

// want returns the expected answer, or the code of the expected error. Errors of
// references come first.
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
			place, ok := s.owner()
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
		return fmt.Errorf("the object is %s, want %s", a, b)
	}
	if shown := targets == nil || slices.Contains(targets, "distance"); shown != (got.Distance != nil) || shown && *got.Distance != want.distance {
		return fmt.Errorf("wrong distance, want %v", want.distance)
	}
	if shown := targets == nil || slices.Contains(targets, "similarity"); shown != (got.Similarity != nil) || shown && math.Abs(*got.Similarity-want.similarity) > 1e-12 {
		return fmt.Errorf("wrong similarity, want %v", want.similarity)
	}
	return nil
}

// storeObjects stores the objects of place at p.
func (w *world) storeObjects(t *testing.T, p *process, place string) {
	t.Helper()
	lines := map[string]*strings.Builder{"faces": {}, "events": {}}
	created := map[string]bool{} // lists without an account, which faces of all accounts may join
	for _, o := range w.objects {
		for _, list := range o.lists {
			if slices.Contains(o.at, place) && !created[list] {
				created[list] = true
				var answer struct{}
				p.mustCall(t, "POST", "/1/lists", map[string]any{"list_id": list}, &answer)
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
		p.mustCall(t, "POST", "/1/import?origin="+origin, text.String(), &answer)
		if answer.Rejected != 0 || answer.Accepted != strings.Count(text.String(), "\n") {
			t.Fatalf("%+v", answer)
		}
	}
}

// serveAt starts a server on a given address.
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
