package server_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"nearside/matcher/store"
)

// poisonedEnv marks the process in which the test of a poisoned store runs. Such a
// store keeps its goroutines until the process ends.
const poisonedEnv = "NEARSIDE_TEST_POISONED"

// TestPoisonedStore checks a server whose store cannot write any more: health checks
// report it, writes are refused, and all other requests work.
func TestPoisonedStore(t *testing.T) {
	if os.Getenv(poisonedEnv) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestPoisonedStore$", "-test.v")
		c.Env = append(os.Environ(), poisonedEnv+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	x := start(t)
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.call("GET", "/healthcheck", "").status(200)
	x.call("GET", "/readyz", "").status(200)
	// End the writer of the store, as an error of the disk does.
	if err := x.store.Commit(context.Background(), func(*store.Tx) error { runtime.Goexit(); return nil }); err == nil {
		t.Fatal("the store still accepts commits")
	}

	why := `"store: nothing can be written until the server is started again: the writer was ended from within a transaction"`
	for _, query := range []string{"", "?include_luna_services=1"} {
		x.call("GET", "/healthcheck"+query, "").status(502).json(`{"errors":[` + why + `]}`)
	}
	x.call("GET", "/readyz", "").fault(12050, "nothing can be written until the server is started again")
	x.call("POST", "/1/faces", face(2, descriptor(v4, 1, 2, 3, 4))).fault(12050, "nothing can be written")
	x.call("DELETE", "/1/faces/"+id(1), "").fault(12050, "nothing can be written")

	x.call("GET", "/livez", "").status(200) // the process must not be restarted automatically: stored objects are still served
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).status(201).part("0.matches.0.result.0.face.face_id", `"`+id(1)+`"`)
}
