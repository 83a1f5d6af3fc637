package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is the oracle: what a server should hold, and what it should answer.
// It is plain values and loops over them, and uses nothing of the product.
type world struct {
	rng    *rand.Rand // of the step
	now    time.Time
	bounds bounds
	seen   map[string]int // how often what was asked with success

	things [3][]*thing // in the order in which they were made
	lists  []*listed

	accounts, people, ids, listIDs, moments []string
	center                                  map[*model][][]byte

	topology
}

// topology is a server under test, and how it differs from one with nothing
// but its memory.
type topology struct {
	name     string
	plugins  map[string]string
	narrower string                          // the prefilter
	narrow   func(*thing) bool               // what it lets pass; nil: there is none
	chosen   func(set map[string]any) string // the matcher that answers
}

func newWorld(seed uint64, in topology) *world {
	w := &world{
		now: time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC), bounds: bounds{references: 12, cross: 400, values: 70},
		seen: map[string]int{}, topology: in,
	}
	w.rng = rand.New(rand.NewPCG(seed, 0))
	w.center = w.centers()
	for range 4 {
		w.accounts = append(w.accounts, w.newID())
	}
	for range 30 {
		w.ids = append(w.ids, w.newID())
		w.listIDs = append(w.listIDs, w.newID())
	}
	w.listIDs = w.listIDs[:12]
	for i := range 40 {
		w.people = append(w.people, fmt.Sprintf("person %d", i/2)+strings.Repeat("é", i%2))
		at := w.now.Add(-time.Duration(w.rng.Int64N(int64(3 * 365 * 24 * time.Hour))))
		w.moments = append(w.moments, at.Truncate(time.Duration(1+999*(i%2))*time.Millisecond).Format(clockForm))
	}
	return w
}

// oracleSteps is how many requests each topology gets.
func oracleSteps(t *testing.T) int {
	if text := os.Getenv("NEARSIDE_ORACLE_STEPS"); text != "" {
		return must(strconv.Atoi(text))
	}
	if testing.Short() {
		return 500
	}
	return 5000
}

// run is one run of a topology.
type run struct {
	*world
	*service
	seed uint64
	step int
}

// TestOracle sends random requests over random data, which changes meanwhile,
// to servers, and compares all answers with those of a world.
//
// NEARSIDE_ORACLE_SEED and _STEPS choose another run; with _ONLY=n the steps
// before n only write, so that the request of step n is asked alone.
func TestOracle(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("NEARSIDE_ORACLE_SEED"); text != "" {
		seed = must(strconv.ParseUint(text, 10, 64))
	}
	for _, in := range topologies {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(seed, in)
			x := start(t, func(s *settings) {
				s.limits.References, s.limits.FilterValues, s.cross = w.bounds.references, w.bounds.values, w.bounds.cross
				s.versions, s.now, s.plugins = registered(), func() time.Time { return w.now }, in.plugins
			})
			r := &run{world: w, service: x, seed: seed}
			r.fill()
			only, _ := strconv.Atoi(os.Getenv("NEARSIDE_ORACLE_ONLY"))
			steps := oracleSteps(t)
			for r.step = 1; r.step <= steps; r.step++ {
				w.rng = rand.New(rand.NewPCG(seed, uint64(r.step)))
				q := w.next()
				if only == 0 || q.writes || r.step == only {
					r.do(q)
				}
			}
			if only == 0 {
				r.coverage(steps)
			}
		})
	}
}

// next is a random request.
func (w *world) next() *request {
	switch n := w.rng.IntN(100); {
	case n < 62:
		return w.matchRequest()
	case n < 65:
		return w.rawRequest()
	case n < 70:
		return w.crossRequest()
	case n < 80:
		return w.readRequest()
	case n < 86:
		return w.wrongRequest()
	default:
		return w.writeRequest()
	}
}

// fill makes lists and objects.
func (r *run) fill() {
	for range 8 {
		q := &request{query: map[string]string{}, writes: true}
		r.createList(q)
		r.do(q)
	}
	for origin, n := range []int{300, 300, 60} {
		var lines []string
		for range n {
			t := r.thing(origin)
			body := string(must(json.Marshal(r.written(t))))
			lines = append(lines, body)
			if origin == inAttributes {
				r.call("PUT", "/1/attributes/"+t.id+"?ttl=1000000", body).status(201)
				r.store(t)
			} else {
				r.importThing(t, true, "", "")
			}
		}
		if origin != inAttributes {
			r.call("POST", "/1/import?origin="+origins[origin], strings.Join(lines, "\n")).status(200).part("accepted", itoa(n))
		}
	}
}

// do sends a request and compares the answer.
func (r *run) do(q *request) {
	r.Helper()
	before := r.Failed()
	want := q.answer()
	packIn, packOut := q.body != nil && r.chance(0.3), r.chance(0.3)
	if q.lines != nil || q.path == "/1/export" || q.path == "/1/import" {
		packOut = false
	}
	r.compare(q, want, packIn, packOut)
	if !q.writes && r.step%10 == 0 && q.path != "/1/export" {
		r.compare(q, want, q.body != nil && !packIn, !packOut)
		r.seen["in both codecs"]++
	}
	if r.Failed() && !before {
		r.report(q)
	}
	if want.codes == nil {
		r.seen[q.kind]++
	} else {
		for _, code := range want.codes {
			r.seen["error "+itoa(code)]++
		}
	}
}

// compare sends a request in some codec.
func (r *run) compare(q *request, want outcome, packIn, packOut bool) {
	r.Helper()
	headers := []string{"Accept", media(packOut)}
	body := ""
	switch {
	case q.body != nil && packIn:
		body = packed(r, jsonOf(q.body))
		headers = append(headers, "Content-Type", media(true))
	case q.body != nil:
		body = jsonOf(q.body)
	default:
		body = strings.Join(q.lines, "\n")
	}
	if q.path == "/1/export" {
		headers = nil
	}
	a := r.call(q.method, q.url(), body, headers...)
	if want.codes != nil {
		r.compareFault(a, want)
		return
	}
	if a.response.StatusCode != want.status {
		r.Errorf("%d, want %d: %.500s", a.response.StatusCode, want.status, a.body)
		return
	}
	if want.body == nil {
		return
	}
	var got any
	if q.path == "/1/export" {
		got = sortedLines(r, string(a.body))
	} else {
		got = a.value()
	}
	reduce(got)
	if !reflect.DeepEqual(want.body, got) {
		r.Errorf("%s, msgpack in %t, out %t (-want +got):\n%.6000s", q.kind, packIn, packOut, cmp.Diff(want.body, got))
	}
}

func media(msgpack bool) string {
	if msgpack {
		return "application/msgpack"
	}
	return "application/json"
}

func (r *run) compareFault(a *answer, want outcome) {
	r.Helper()
	got, _ := a.value().(map[string]any)
	code, _ := got["error_code"].(float64)
	if !slices.Contains(want.codes, int(code)) || a.response.StatusCode != errorTable[int(code)].status {
		r.Errorf("%d, want the error of %v: %.500s", a.response.StatusCode, want.codes, a.body)
	}
}

// sortedLines decodes an export and sorts it by id.
func sortedLines(t testing.TB, text string) any {
	lines := []any{}
	for line := range strings.Lines(text) {
		lines = append(lines, value(t, line))
	}
	idOf := func(line any) string {
		fields := line.(map[string]any)
		id, ok := fields["event_id"].(string)
		if _, isEvent := fields["lists"]; !isEvent && ok {
			return id
		}
		return fields["face_id"].(string)
	}
	slices.SortFunc(lines, func(a, b any) int { return strings.Compare(idOf(a), idOf(b)) })
	return lines
}

// reduce takes away what the oracle does not know: details of errors of
// imports, times of lists, and of plans all but the counts and the matcher.
func reduce(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			reduce(x)
		}
	case map[string]any:
		for _, x := range v {
			reduce(x)
		}
		if _, ok := v["line"]; ok {
			delete(v, "detail")
		}
		if _, ok := v["face_count"]; ok {
			delete(v, "create_time")
		}
		if plan, ok := v["plan"].(map[string]any); ok {
			v["plan"] = reducedPlan(plan)
		}
	}
}

func reducedPlan(plan map[string]any) map[string]any {
	reduced := map[string]any{}
	for _, m := range plan["matchers"].([]any) {
		if m := m.(map[string]any); m["chosen"] == true {
			if reduced["by"] != nil {
				reduced["by and"] = m["name"]
			}
			reduced["by"] = m["name"]
		}
	}
	if reduced["by"] == "memory" {
		for _, name := range []string{"rows_selected", "rows_other_version", "rows_scanned"} {
			reduced[name] = plan[name]
		}
	}
	prefilters := plan["prefilters"].([]any)
	for _, p := range prefilters {
		delete(p.(map[string]any), "ms")
	}
	reduced["prefilters"] = prefilters
	return reduced
}

// report says how to see a failure again, and ends the run.
func (r *run) report(q *request) {
	r.Helper()
	body := ""
	if q.body != nil {
		body = " -d '" + strings.ReplaceAll(jsonOf(q.body), "'", `'\''`) + "'"
	} else if q.lines != nil {
		body = " -d '" + strings.ReplaceAll(strings.Join(q.lines, "\n"), "'", `'\''`) + "'"
	}
	r.Logf("seed %d, step %d: curl -X %s 'http://127.0.0.1:5110%s'%s", r.seed, r.step, q.method, q.url(), body)
	r.Logf("again, with the writes before it only: NEARSIDE_ORACLE_SEED=%d NEARSIDE_ORACLE_ONLY=%d go test -run '%s' ./internal/server", r.seed, r.step, r.Name())
	r.FailNow()
}
