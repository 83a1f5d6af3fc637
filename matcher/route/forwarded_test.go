package route_test

import (
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// TestForwarded: the request of another proxy is answered from local data. Remotes
// are not asked, and no other matcher answers for data that they own.
func TestForwarded(t *testing.T) {
	r, local, asked := crossRouter(t, crosses("a"), crosses("b"), nil)
	forwarded := func(ref matcher.Reference, f matcher.Filter) (*route.Answer, error) {
		req := request(ref)
		req.Forwarded, req.Candidates = true, []*matcher.Candidates{{Limit: 1, Filter: f}}
		return r.Match(t.Context(), req)
	}
	a, err := forwarded(raw(1), matcher.Filter{})
	if err != nil || a.Results[0][0].Matches[0].Object.ExternalID != local.name {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := forwarded(raw(1), listID(1)); matcher.CodeOf(err) != matcher.CodeNoMatcher || !strings.Contains(err.Error(), "owned by remote a") {
		t.Errorf("a list of a remote: %v", err)
	}
	if _, err := forwarded(ref(matcher.RefFace, 99), matcher.Filter{}); matcher.CodeOf(err) != matcher.CodeFaceNotFound {
		t.Errorf("a face that is not in the local store: %v", err)
	}
	if a, err := forwarded(named(matcher.RefFaceExternalID, "nobody"), matcher.Filter{}); err != nil || !a.References[0].Descriptor.IsZero() {
		t.Errorf("a key without local objects: %+v, %v", a, err)
	}
	cross := crossRequest(listID(1), listID(1))
	cross.Forwarded = true
	if _, err := r.Cross(t.Context(), cross); matcher.CodeOf(err) != matcher.CodeNoMatcher {
		t.Errorf("a cross match of a remote: %v", err)
	}
	if *asked != nil {
		t.Errorf("remotes were asked: %q", *asked)
	}
}
