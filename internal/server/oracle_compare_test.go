package server_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/oracle"
)

// compare sends a request and compares the answer. packIn and packOut choose
// MessagePack for the body and the answer.
func (r *oracleRun) compare(q *oracle.Request, want oracle.Outcome, packIn, packOut bool) {
	r.Helper()
	headers := []string{"Accept", media(packOut)}
	body := ""
	switch {
	case q.Body != nil && packIn:
		body = packed(r, oracle.JSON(q.Body))
		headers = append(headers, "Content-Type", media(true))
	case q.Body != nil:
		body = oracle.JSON(q.Body)
	default:
		body = strings.Join(q.Lines, "\n")
	}
	if q.Path == "/1/export" {
		headers = nil
	}
	a := r.call(q.Method, q.URL(), body, headers...)
	if want.Codes != nil {
		r.compareFault(a, want)
		return
	}
	if a.response.StatusCode != want.Status {
		r.Errorf("%d, want %d: %.500s", a.response.StatusCode, want.Status, a.body)
		return
	}
	if want.Body == nil {
		return
	}
	var got any
	if q.Path == "/1/export" {
		got = sortedLines(r, string(a.body))
	} else {
		got = a.value()
	}
	r.Reduce(got)
	if !reflect.DeepEqual(want.Body, got) {
		r.Errorf("%s, msgpack in the request: %t, in the answer: %t (-want +got):\n%.6000s", q.Kind, packIn, packOut, cmp.Diff(want.Body, got))
	}
}

func media(msgpack bool) string {
	if msgpack {
		return "application/msgpack"
	}
	return "application/json"
}

func (r *oracleRun) compareFault(a *answer, want oracle.Outcome) {
	r.Helper()
	got, _ := a.value().(map[string]any)
	code, _ := got["error_code"].(float64)
	if !slices.Contains(want.Codes, int(code)) || a.response.StatusCode != errorTable[int(code)].status {
		r.Errorf("%d, want the error of %v: %.500s", a.response.StatusCode, want.Codes, a.body)
	}
}

// sortedLines decodes an export and sorts it by ID.
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

// report logs how to repeat a failure, and ends the run.
func (r *oracleRun) report(q *oracle.Request) {
	r.Helper()
	body := ""
	if q.Body != nil {
		body = " -d '" + strings.ReplaceAll(oracle.JSON(q.Body), "'", `'\''`) + "'"
	} else if q.Lines != nil {
		body = " -d '" + strings.ReplaceAll(strings.Join(q.Lines, "\n"), "'", `'\''`) + "'"
	}
	r.Logf("seed %d, step %d: curl -X %s 'http://127.0.0.1:5110%s'%s", r.seed, r.step, q.Method, q.URL(), body)
	r.Logf("to repeat only the writes before it and this step: NEARSIDE_ORACLE_SEED=%d NEARSIDE_ORACLE_ONLY=%d go test -run '%s' ./internal/server", r.seed, r.step, r.Name())
	r.FailNow()
}
