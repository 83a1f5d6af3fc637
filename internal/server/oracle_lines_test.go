package server_test

import (
	"reflect"
	"strings"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/oracle"
)

// randomCoding returns the name of a coding, or "" for none.
func (r *oracleRun) randomCoding() string {
	if r.Chance(0.5) {
		return ""
	}
	if r.Chance(0.5) {
		return "gzip"
	}
	return "zstd"
}

// compareRowLines sends a match again and asks for lines. It compares them with the answer
// of the oracle, which has one item with one candidate set, or else the request must be
// refused. The body and the answer have random codings.
func (r *oracleRun) compareRowLines(q *oracle.Request, want oracle.Outcome) {
	r.Helper()
	body, headers := oracle.JSON(q.Body), []string{"Accept", "application/x-ndjson"}
	accepted := r.randomCoding()
	if accepted != "" {
		headers = append(headers, "Accept-Encoding", accepted)
	}
	if c := r.randomCoding(); c != "" {
		body, headers = codings[c](body), append(headers, "Content-Encoding", c)
	}
	a := r.send(q.Method, q.URL(), opaque(body), headers...)
	items := want.Body.([]any)
	if len(items) != 1 || len(items[0].(map[string]any)["matches"].([]any)) != 1 {
		a.fault(12028, "application/x-ndjson")
		r.Seen["lines of several pairs"]++
		return
	}
	a.status(201).header("Content-Type", "application/x-ndjson")
	lines := strings.SplitAfter(a.plain(accepted), "\n")
	if last := lines[len(lines)-1]; len(lines) < 2 || last != "" {
		r.Fatalf("the lines end with %q", last)
	}
	rows := []any{}
	for _, line := range lines[:len(lines)-2] {
		rows = append(rows, value(r, line))
	}
	end, ok := value(r, lines[len(lines)-2]).(map[string]any)["end"].(map[string]any)
	if !ok || end["count"] != float64(len(rows)) {
		r.Fatalf("%d rows end with %s", len(rows), lines[len(lines)-2])
	}
	// The lines and what they do not repeat make a whole answer.
	item := items[0].(map[string]any)
	match := map[string]any{"result": rows}
	for name, v := range item["matches"].([]any)[0].(map[string]any) {
		if name == "filters" || name == "label" {
			match[name] = v
		}
	}
	for name, v := range end {
		switch name {
		case "count":
		case "total":
			match["count"] = v
		case "plan":
			match["plan"] = v
		default:
			r.Errorf("the last line has the field %s", name)
		}
	}
	got := any([]any{map[string]any{"reference": item["reference"], "matches": []any{match}}})
	r.Reduce(got)
	if !reflect.DeepEqual(want.Body, got) {
		r.Errorf("lines (-want +got):\n%.6000s", cmp.Diff(want.Body, got))
	}
	r.Seen["lines"]++
	if len(rows) > 1 {
		r.Seen["lines of several rows"]++
	}
}
