package server_test

import (
	"strings"
	"testing"
)

// TestLimits goes through the limits of API.md 6: what is within one is done,
// one more is refused, and the answer names the field and the value. That of
// memory is in TestFull, that of the time of a request in TestDeadline
// and TestSlowClient, that of a shutdown in TestShutdownCut.
func TestLimits(t *testing.T) {
	const bodyBytes, lineBytes = 4000, 1500
	x := start(t, func(s *settings) {
		s.body, s.line, s.cross = bodyBytes, lineBytes, 6
		s.limits.References, s.limits.Candidates, s.limits.RawCandidates, s.limits.Result, s.limits.FilterValues = 3, 2, 4, 5, 3
	})
	x.line(3)
	many := func(n int, one string) string { return strings.Repeat(one+",", n-1) + one }
	limit := func(path, within, beyond string, code int, details ...string) {
		t.Helper()
		if a := x.call("POST", path, within); a.response.StatusCode >= 300 {
			t.Errorf("within the limit: %d %s", a.response.StatusCode, a.body)
		}
		x.call("POST", path, beyond).fault(code, details...)
	}
	const faces, raw, cross = "/1/matcher/faces", "/1/matcher/raw", "/1/crossmatcher/faces"
	probe := given(of(v4, 1, 2, 3, 4))

	limit(faces, ask(many(3, probe), all()), ask(many(4, probe), all()), 31007, "references: 4", "limits.references", "3")
	limit(raw, ask(many(3, probe), probe), ask(many(4, probe), probe), 31007, "references: 4", "limits.references", "3")
	limit(faces, ask(probe, many(2, all())), ask(probe, many(3, all())), 31007, "candidates: 3", "limits.candidates", "2")
	limit(raw, ask(probe, many(4, probe)), ask(probe, many(5, probe)), 31007, "candidates: 5", "limits.raw_candidates", "4")
	limit(faces, ask(probe, all(`,"limit":5`)), ask(probe, all(`,"limit":6`)), 12022, "candidates[0].limit", "6", "1..5")
	sides := func(limit string) string {
		return `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":` + limit + `}`
	}
	limit(cross, sides("5"), sides("6"), 12022, "limit", "6", "1..5")

	ids := func(n int) string { return `[` + many(n, `"`+id(1)+`"`) + `]` }
	set := func(n int) string { return `{"filters":{"origin":"faces","face_ids":` + ids(n) + `}}` }
	limit(faces, ask(probe, set(3)), ask(probe, set(4)), 31007, "candidates[0].filters.face_ids: 4", "limits.filter_values", "3")
	limit(cross, `{"references":`+set(3)+`,"candidates":`+set(3)+`}`, `{"references":`+set(4)+`,"candidates":`+set(3)+`}`,
		31007, "references.filters.face_ids: 4", "limits.filter_values", "3")
	query := func(n int) string { return "?face_ids=" + many(n, id(1)) }
	for _, path := range []string{"/1/faces", "/1/export"} {
		x.call("GET", path+query(3), "").status(200)
		x.call("GET", path+query(4), "").fault(31007, "face_ids: 4", "limits.filter_values", "3")
	}

	padded := func(bytes int) string {
		object := `{"face_id":"` + id(1) + `","user_data":"","descriptor":` + of(v4, 1, 0, 0, 0) + `}`
		return strings.Replace(object, `"user_data":"`, `"user_data":"`+strings.Repeat("x", bytes-len(object)), 1)
	}
	x.call("PUT", "/1/faces/"+id(1), padded(bodyBytes)).status(200)
	x.call("PUT", "/1/faces/"+id(1), padded(bodyBytes+1)).fault(12029, "body", itoa(bodyBytes))
	x.call("POST", "/1/import", padded(lineBytes)+"\n"+padded(lineBytes+1)).status(200).
		json(`{"accepted":1,"rejected":1,"errors":[{"line":2,"detail":"the line is longer than the limit of 1500 bytes"}]}`)

	x.call("POST", cross, sides("1")).status(201) // 3 objects on both sides
	x.call("POST", "/1/faces", face(4, of(v4, 4, 0, 0, 0))).status(201)
	x.call("POST", cross, sides("1")).fault(31002, "references and candidates", "8 objects", "6")
}
