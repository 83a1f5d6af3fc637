package server_test

import (
	"testing"

	"nearside/matcher"
	"nearside/matcher/remote"
)

// TestOwnerKeysFault checks a request with two errors: its keys match too many objects of
// an owner, and a face does not exist. The error that comes first in the request is
// returned.
func TestOwnerKeysFault(t *testing.T) {
	owner := start(t)
	x := start(t, func(s *settings) {
		s.limits.References = 3
		s.remotes = []remote.Config{{Name: "far", URL: "http://" + owner.address, Cost: 100, MaxInflight: 4, Origins: []matcher.Origin{matcher.Events}}}
	})
	for n := range 4 {
		owner.call("POST", "/1/events", event(n, `,"track_id":"`+[]string{"two", "other"}[n/2]+`"`)).status(201)
	}
	track := func(s string) string { return `{"type":"event_track_id","id":"` + s + `"}` }
	match := func(references string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces", matchBody(references, `{"filters":{"origin":"events"},"targets":[]}`))
	}
	match(track("two")).status(201).part("1.reference.object_id", `"`+id(1)+`"`)
	match(track("two")+","+track("other")).fault(31007, "references", "the limit is 3")
	match(track("two")+","+storedFace(9)+","+track("other")).fault(22004, "references[1].id", id(9))
	match(track("two")+","+track("other")+","+storedFace(9)).fault(31007, "references", "the limit is 3")
}
