package server_test

import (
	"fmt"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/remote"
)

// TestCrossLimit checks that the limit counts the objects that can be compared, for
// the local matcher, plugins and remotes.
func TestCrossLimit(t *testing.T) {
	withRemote := func(x *service, origins ...matcher.Origin) func(*settings) {
		return func(s *settings) {
			s.remotes = []remote.Config{{Name: "far", URL: "http://" + x.address, Cost: 1, MaxInflight: 4, Origins: origins}}
		}
	}
	plugin := func(s *settings) {
		s.plugins = map[string]string{"first": patient + `return {api = 1, name = "first", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", origins = {"events"}},
			cost = function(self, req) return 1 end,
			match = function(self, req, set) return set:scan(req.limit) end,
			prefilter = function(self, req, set) return set end}`}
	}
	// asked is the server that gets the requests. limited is the server whose limit
	// applies. filled are the servers that store the events.
	type servers struct {
		asked, limited *service
		filled         []*service
	}
	for name, open := range map[string]func(t *testing.T) servers{
		"memory":  func(t *testing.T) servers { x := start(t); return servers{x, x, []*service{x}} },
		"plugins": func(t *testing.T) servers { x := start(t, plugin); return servers{x, x, []*service{x}} },
		"owner": func(t *testing.T) servers {
			x := start(t)
			return servers{start(t, func(s *settings) { s.cross = 1 }, withRemote(x, matcher.Events)), x, []*service{x}}
		},
		"replica": func(t *testing.T) servers {
			x := start(t, func(s *settings) { s.cross = 1 })
			y := start(t, withRemote(x))
			return servers{y, y, []*service{x, y}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			// 3 events have only a face descriptor of v4, 2 only one of v4other, and 40 only a
			// body descriptor. 5 have a face descriptor of v4 and a body descriptor.
			s := open(t)
			var events []string
			for n := range 50 {
				d := `"body_descriptor":` + descriptor(vBody, byte(n), 0, 0, 0)
				switch {
				case n < 3:
					d = `"face_descriptor":` + descriptor(v4, byte(n), 0, 0, 0)
				case n < 5:
					d = `"face_descriptor":` + descriptor(v4other, byte(n), 0, 0, 0)
				case n < 10:
					d += `,"face_descriptor":` + descriptor(v4, byte(n), 0, 0, 0)
				}
				events = append(events, fmt.Sprintf(`{"event_id":"%s","age":%d,%s}`, id(n+1), n, d))
			}
			for _, x := range s.filled {
				x.call("POST", "/1/events", "["+strings.Join(events, ",")+"]").status(201)
			}
			cross := func(limit int, path, references, candidates string) *answer {
				t.Helper()
				s.limited.limits.CrossMatch = limit
				s.limited.server.Reload(s.limited.limits)
				side := func(more string) string { return `{"filters":{"origin":"events"` + more + `}}` }
				return s.asked.call("POST", "/1/crossmatcher/"+path, `{"references":`+side(references)+`,"candidates":`+side(candidates)+`,"targets":[]}`)
			}
			// path, filters of both sides, compared objects, items
			cases := []struct {
				path, references, candidates string
				compared, items              int
			}{
				{"faces", "", "", 20, 10},
				{"bodies", "", "", 90, 45},
				{"faces", `,"age__lt":3`, "", 11, 3},                  // no candidate has v4other
				{"faces", `,"age__gte":3,"age__lt":5`, "", 4, 2},      // only v4other
				{"faces", "", `,"age__gte":10`, 10, 10},               // no candidate has a face
				{"bodies", `,"age__gte":9`, `,"age__lt":6`, 42, 41},   // both sides also have other objects
				{"faces", `,"age__gte":10`, "", 0, 0},                 // no reference has a face
				{"bodies", `,"age__lt":5`, `,"event_ids":[]`, 0, 0},   // no objects
				{"faces", `,"age__gte":2,"age__lt":4`, "", 2 + 10, 2}, // both versions
			}
			for _, c := range cases {
				a := cross(c.compared, c.path, c.references, c.candidates).status(201)
				if items := a.value().([]any); len(items) != c.items {
					t.Errorf("%+v: %d items", c, len(items))
				}
				if c.compared == 0 {
					continue
				}
				cross(c.compared-1, c.path, c.references, c.candidates).
					fault(31002, "references and candidates: ", fmt.Sprintf("%d objects with a ", c.compared), fmt.Sprintf("the limit is %d", c.compared-1))
			}
		})
	}
}
