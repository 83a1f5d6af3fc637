package server_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
	r.reduce(got)
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
func (w *world) reduce(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			w.reduce(x)
		}
	case map[string]any:
		for _, x := range v {
			w.reduce(x)
		}
		if _, ok := v["line"]; ok {
			delete(v, "detail")
		}
		if _, ok := v["face_count"]; ok {
			delete(v, "create_time")
		}
		if plan, ok := v["plan"].(map[string]any); ok {
			v["plan"] = w.reducedPlan(plan)
		}
	}
}

func (w *world) reducedPlan(plan map[string]any) map[string]any {
	reduced := map[string]any{}
	for _, m := range plan["matchers"].([]any) {
		if m := m.(map[string]any); m["chosen"] == true {
			if reduced["by"] != nil {
				reduced["by and"] = m["name"]
			}
			reduced["by"] = m["name"]
		}
	}
	by, chosen := reduced["by"].(string)
	if _, ofPlugin := w.plugins[by]; chosen && !ofPlugin {
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
