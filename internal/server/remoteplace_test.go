package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/remote"
)

// TestRemoteFaultPlaces checks that an error that a remote finds names the place in
// the client's request.
func TestRemoteFaultPlaces(t *testing.T) {
	remoteSettings := func(s *settings) { // the remote has lower limits than the proxy
		s.versions = versions[:5]
		s.limits.Result, s.limits.References, s.limits.FilterValues = 7, 1000, 3
		s.plugins = map[string]string{"gate": patient + `local ns = require("nearside")
			return {api = 1, name = "gate", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", origins = {"events"}},
			prefilter = function(self, req, set)
				if req.filters.age__gte == 66 then return ns.reject(451, "references[0] is not welcome") end
				if req.filters.age__gte == 67 then error("broken") end
				return set
			end}`}
	}
	far := start(t, remoteSettings)
	x := start(t, func(s *settings) {
		s.limits.References = 1000
		s.remotes = []remote.Config{{Name: "far", URL: "http://" + far.address, Cost: 1, Timeout: time.Minute, MaxInflight: 4, Origins: []matcher.Origin{matcher.Events}}}
	})
	for n := range 3 { // three faces with a key; the remote does not know the version of the last one
		d := descriptor(v4, byte(n), 0, 0, 0)
		if n == 2 {
			d = descriptor(v32, make([]byte, 32)...)
		}
		x.call("POST", "/1/faces", face(n+1, d, `,"external_id":"k`+itoa(n/2)+`"`)).status(201)
		far.call("POST", "/1/events", event(n+10, `,"track_id":"k"`)).status(201)
	}
	given := func(n int) string {
		return fmt.Sprintf(`{"type":"raw_descriptor","id":"%d","data":%s}`, n, descriptor(v4, byte(n), 0, 0, 0))
	}
	unknown := `{"type":"raw_descriptor","id":"u","data":` + descriptor(v32, make([]byte, 32)...) + `}`
	set := func(more string) string { return `{"filters":{"origin":"events"` + more + `},"targets":[]}` }
	all := set("")
	limit := func(n int) string {
		return fmt.Sprintf(`{"filters":{"origin":"events"},"limit":%d,"targets":["age"]}`, n)
	}
	local := `{"filters":{"origin":"faces"},"limit":900,"targets":[]}`
	match := func(references, candidates string) *answer {
		t.Helper()
		return x.call("POST", "/1/matcher/faces", matchBody(references, candidates))
	}
	begins := func(a *answer, code int, detail string) {
		t.Helper()
		a.fault(code)
		if got := a.at("detail").(string); !strings.HasPrefix(got, detail) {
			t.Errorf("%q, want %q", got, detail)
		}
	}

	// The place of a reference, also after keys that match two, one or no objects.
	match(given(0)+","+given(1), all+","+local).status(201)
	begins(match(unknown, all), 12036, "references[0].data.version: remote far: 32 is not")
	begins(match(given(0)+","+given(1)+","+unknown, all), 12036, "references[2].data.version: remote far: 32 ")
	begins(match(key("k0")+","+key("none")+","+given(0)+","+unknown, all), 12036, "references[3].data.version: remote far: 32 ")
	begins(match(key("none")+","+key("none")+","+unknown, all), 12036, "references[2].data.version: remote far: 32 ")
	begins(match(key("k0")+","+key("k1"), all), 12036, "references[1].id: remote far: data.version: 32 ")
	begins(match(given(0)+","+storedFace(3), all), 12036, "references[1].id: remote far: data.version: 32 ")
	begins(match(`{"type":"sdk_descriptor","id":"s","data":"`+base64Of(append([]byte("dp\x00\x00\x20\x00\x00\x00"), make([]byte, 32)...)...)+`"},`+unknown, all), 12036,
		"references[0].data.version: remote far: 32 ")
	parts := func(all string) string { return `{"type":"together","references":[` + all + `]}` }
	match(given(0)+","+parts(given(0)+","+storedFace(2)), all+","+local).status(201)
	begins(match(given(0)+","+parts(unknown), all), 12036, "references[1].references[0].data.version: remote far: 32 ")
	begins(match(parts(key("none")+","+unknown+","+storedFace(3)), all), 12036, "references[0].references[1].data.version: remote far: 32 ")
	begins(match(parts(storedFace(3)+","+unknown), all), 12036, "references[0].references[0].id: remote far: data.version: 32 ")
	many := strings.Repeat(given(0)+",", 600)
	begins(match(many+unknown+","+given(0), all), 12036, "references[600].data.version: remote far: 32 ") // in the third call
	begins(match(strings.Repeat(parts(given(0)+","+given(1))+",", 300)+unknown, all), 12036, "references[300].data.version: remote far: 32 ")

	// The place of a set, also after sets that the proxy answers itself.
	begins(match(given(0), limit(8)), 12022, "candidates[0].limit: remote far: ")
	begins(match(given(0), local+","+limit(2)+","+limit(7)+","+local+","+limit(8)), 12022, "candidates[4].limit: remote far: ")
	begins(match(key("none")+","+given(0), local+","+set(`,"sources":["a","b","c","d"]`)), 31007, "candidates[1].filters.sources: remote far: ")

	// A plugin's rejection has no place and keeps its status.
	a := match(given(0), local+","+set(`,"age__gte":66`))
	if a.response.StatusCode != http.StatusUnavailableForLegalReasons || a.at("error_code") != 12057.0 || a.at("detail") != "remote far: references[0] is not welcome" {
		t.Errorf("%d %s", a.response.StatusCode, a.body)
	}
	begins(match(given(0), local+","+all+","+set(`,"age__gte":67`)), 12050, "candidates[2]: remote far: it answered 503: 12050: ")

	// Keys are resolved by a separate call, without the other references.
	far.limits.Decoder.Limits.References = 2
	far.server.Reload(far.limits)
	track := `{"type":"event_track_id","id":"k"}`
	begins(match(given(0)+","+track, local), 31007, "references: remote far: ")

	// Both sides of a cross match belong to the owner.
	cross := func(x *service, left, right, more string) *answer {
		return x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{`+left+`}},"candidates":{"filters":{`+right+`}}`+more+`}`)
	}
	const events, faces = `"origin":"events"`, `"origin":"faces"`
	begins(cross(x, events, events, `,"limit":8`), 12022, "limit: remote far: ")
	begins(cross(x, events, events+`,"sources":["a","b","c","d"]`, ""), 31007, "candidates.filters.sources: remote far: ")
	begins(cross(x, events+`,"sources":["a","b","c","d"]`, events, ""), 31007, "references.filters.sources: remote far: ")
	begins(cross(x, events, events+`,"age__gte":67`, ""), 12050, "candidates: remote far: it answered 503: 12050: ")

	// A replica gets the references of a cross match as a match.
	y := start(t, func(s *settings) {
		s.remotes = []remote.Config{{Name: "copy", URL: "http://" + far.address, Cost: 1, Timeout: time.Minute, MaxInflight: 4}}
	})
	y.call("POST", "/1/faces", face(1, descriptor(v4, 1, 0, 0, 0))).status(201)
	begins(cross(y, faces, faces, `,"limit":8`), 12022, "limit: remote copy: ")
	begins(cross(y, faces, faces+`,"external_ids":["a","b","c","d"]`, ""), 31007, "candidates.filters.external_ids: remote copy: ")
	y.call("POST", "/1/faces", face(2, descriptor(v32, make([]byte, 32)...))).status(201)
	begins(cross(y, faces, faces, ""), 12036, "references: remote copy: data.version: 32 ")
}
