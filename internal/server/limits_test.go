package server_test

import (
	"strings"
	"testing"
)

// TestLimits checks the limits of docs/api.md, section "Bounds". A value at the limit is accepted,
// one more is refused, and the answer names the field and the value. TestFull checks
// the limit of memory, TestDeadline and TestSlowClient that of time, TestShutdownCut
// that of a shutdown.
func TestLimits(t *testing.T) {
	const bodyBytes, lineBytes = 4000, 6000
	x := start(t, func(s *settings) {
		s.body, s.line, s.cross = bodyBytes, lineBytes, 6
		s.limits.References, s.limits.Candidates, s.limits.RawCandidates, s.limits.Result, s.limits.FilterValues = 3, 2, 4, 5, 3
	})
	x.storeFaces(3)
	many := func(n int, one string) string { return strings.Repeat(one+",", n-1) + one }
	limit := func(path, within, beyond string, code int, details ...string) {
		t.Helper()
		if a := x.call("POST", path, within); a.response.StatusCode >= 300 {
			t.Errorf("within the limit: %d %s", a.response.StatusCode, a.body)
		}
		x.call("POST", path, beyond).fault(code, details...)
	}
	const faces, raw, cross = "/1/matcher/faces", "/1/matcher/raw", "/1/crossmatcher/faces"
	probe := givenDescriptor(descriptor(v4, 1, 2, 3, 4))

	limit(faces, matchBody(many(3, probe), allFaces()), matchBody(many(4, probe), allFaces()), 31007, "references: must have at most", "got 4", "limits.references", "3")
	limit(raw, matchBody(many(3, probe), probe), matchBody(many(4, probe), probe), 31007, "references: must have at most", "got 4", "limits.references", "3")
	limit(faces, matchBody(probe, many(2, allFaces())), matchBody(probe, many(3, allFaces())), 31007, "candidates: must have at most", "got 3", "limits.candidates", "2")
	limit(raw, matchBody(probe, many(4, probe)), matchBody(probe, many(5, probe)), 31007, "candidates: must have at most", "got 5", "limits.raw_candidates", "4")
	limit(faces, matchBody(probe, allFaces(`,"limit":5`)), matchBody(probe, allFaces(`,"limit":6`)), 12022, "candidates[0].limit", "6", "from 1 to 5")
	sides := func(limit string) string {
		return `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":` + limit + `}`
	}
	limit(cross, sides("5"), sides("6"), 12022, "limit", "6", "from 1 to 5")

	ids := func(n int) string { return `[` + many(n, `"`+id(1)+`"`) + `]` }
	set := func(n int) string { return `{"filters":{"origin":"faces","face_ids":` + ids(n) + `}}` }
	limit(faces, matchBody(probe, set(3)), matchBody(probe, set(4)), 31007, "candidates[0].filters.face_ids: must have at most", "got 4", "limits.filter_values", "3")
	limit(cross, `{"references":`+set(3)+`,"candidates":`+set(3)+`}`, `{"references":`+set(4)+`,"candidates":`+set(3)+`}`,
		31007, "references.filters.face_ids: must have at most", "got 4", "limits.filter_values", "3")
	query := func(n int) string { return "?face_ids=" + many(n, id(1)) }
	for _, path := range []string{"/1/faces", "/1/export"} {
		x.call("GET", path+query(3), "").status(200)
		x.call("GET", path+query(4), "").fault(31007, "face_ids: must have at most", "got 4", "limits.filter_values", "3")
	}

	padded := func(bytes int) string {
		object := face(1, descriptor(v4, 1, 0, 0, 0), `,"user_data":"","lists":[]`)
		return strings.Replace(object, `"user_data":"`, `"user_data":"`+strings.Repeat("x", bytes-len(object)), 1)
	}
	x.call("PUT", "/1/faces/"+id(1), padded(bodyBytes)).status(200)
	x.call("PUT", "/1/faces/"+id(1), padded(bodyBytes+1)).fault(12029, "body", itoa(bodyBytes))
	x.call("POST", "/1/import", padded(lineBytes)+"\n"+padded(lineBytes+1)).status(200).
		json(`{"accepted":1,"rejected":1,"errors":[{"line":2,"detail":"the line must have at most 6000 bytes"}]}`)

	x.call("POST", cross, sides("1")).status(201) // 3 objects on both sides
	x.call("POST", "/1/faces", face(4, descriptor(v4, 4, 0, 0, 0))).status(201)
	x.call("POST", cross, sides("1")).fault(31002, "references and candidates", "8 objects", "6")
}
