package server_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"nearside/matcher/store"
)

// poisonedEnv says that this process is the one that a test of a poisoned
// store runs in: such a store keeps its goroutines until the process ends.
const poisonedEnv = "NEARSIDE_TEST_POISONED"

// TestPoisoned: when nothing can be written any more, the service says so to
// who asks for its health, refuses writes, and goes on to answer the rest.
func TestPoisoned(t *testing.T) {
	if os.Getenv(poisonedEnv) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestPoisoned$", "-test.v")
		c.Env = append(os.Environ(), poisonedEnv+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	x := start(t)
	x.call("POST", "/1/faces", face(1, of(v4, 1, 2, 3, 4))).status(201)
	x.call("GET", "/healthcheck", "").status(200)
	x.call("GET", "/readyz", "").status(200)
	// The writer of the store is ended, as a fault of the disk ends it.
	if err := x.store.Commit(context.Background(), func(*store.Tx) error { runtime.Goexit(); return nil }); err == nil {
		t.Fatal("the store goes on")
	}

	why := `"store: nothing can be written until the server is started again: the writer was ended from within a transaction"`
	for _, query := range []string{"", "?include_luna_services=1"} {
		x.call("GET", "/healthcheck"+query, "").status(502).json(`{"errors":[` + why + `]}`)
	}
	x.call("GET", "/readyz", "").fault(12050, "nothing can be written until the server is started again")
	x.call("POST", "/1/faces", face(2, of(v4, 1, 2, 3, 4))).fault(12050, "nothing can be written")
	x.call("DELETE", "/1/faces/"+id(1), "").fault(12050, "nothing can be written")

	x.call("GET", "/livez", "").status(200) // starting again helps, but what is there is served
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	x.call("POST", "/1/matcher/faces", ask(stored(1), all())).status(201).part("0.matches.0.result.0.face.face_id", `"`+id(1)+`"`)
}
