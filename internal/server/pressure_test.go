package server_test

import (
	"sync/atomic"
	"testing"

	"nearside/matcher"
)

// TestProcessMemory checks that matches and writes are refused while the process has
// too little memory. Deletes, reads, metrics and health checks are not.
func TestProcessMemory(t *testing.T) {
	var code atomic.Int64
	x := start(t, func(s *settings) {
		s.refuse = func() error {
			if c := matcher.Code(code.Load()); c != 0 {
				return matcher.Errorf(c, "memory: limits.process_memory")
			}
			return nil
		}
	})
	x.storeFaces(3)
	x.call("POST", "/1/lists", `{"list_id":"`+id(100)+`"}`).status(201)
	probe, body := givenDescriptor(descriptor(v4, 1, 2, 3, 4)), face(9, descriptor(v4, 1, 2, 3, 4))
	code.Store(int64(matcher.CodeUnavailable))
	for path, text := range map[string]string{
		"/1/matcher/faces": matchBody(probe, allFaces()), "/1/matcher/bodies": matchBody(probe, allFaces()), "/1/matcher": matchBody(probe, allFaces()), "/1/matcher/raw": matchBody(probe, probe),
		"/1/crossmatcher/faces":  `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}}}`,
		"/1/crossmatcher/bodies": `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}}}`,
	} {
		x.call("POST", path, text).fault(12050, "limits.process_memory")
	}
	code.Store(int64(matcher.CodeFull))
	for _, write := range [][3]string{
		{"POST", "/1/faces", body},
		{"PUT", "/1/faces/" + id(1), body},
		{"PATCH", "/1/faces/" + id(1), `{"age":1}`},
		{"POST", "/1/events", `{"face_descriptor":` + descriptor(v4, 1, 2, 3, 4) + `}`},
		{"PUT", "/1/attributes/" + id(1), `{"descriptor":` + descriptor(v4, 1, 2, 3, 4) + `}`},
		{"POST", "/1/lists", `{}`},
		{"PATCH", "/1/lists/" + id(100), `{"user_data":"x"}`},
		{"POST", "/1/import", body},
	} {
		x.call(write[0], write[1], write[2]).fault(12052, "limits.process_memory")
	}
	for _, path := range []string{"/livez", "/readyz", "/healthcheck", "/metrics", "/version", "/1/faces/" + id(1), "/1/faces", "/1/export", "/1/lists"} {
		x.call("GET", path, "").status(200)
	}
	x.call("PATCH", "/1/linker", `{"action":"detach","list_id":"`+id(100)+`","face_ids":["`+id(1)+`"]}`).status(204)
	x.call("DELETE", "/1/faces/"+id(1), "").status(204)
	x.call("DELETE", "/1/lists/"+id(100), "").status(204)
	code.Store(0)
	x.call("POST", "/1/faces", body).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(probe, allFaces())).status(201)
}
