package lua

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestWatch: a change of a file, in a new folder too, reloads; one that does
// not load is logged, and the running generation stays.
func TestWatch(t *testing.T) {
	h, log := start(t, versioned("1", ""))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.Watch(ctx) }()
	version := func() string { return h.Plugins()[0].Version }
	write := func(name, source string) {
		t.Helper()
		path := filepath.Join(h.o.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for version() == "1" { // until the folder is watched, a change goes unseen; and each begins the wait for quiet anew
		write("p.lua", versioned("2", ""))
		for end := time.Now().Add(time.Second); version() == "1" && time.Now().Before(end); {
			runtime.Gosched()
		}
	}
	write("p.lua", "return {")
	log.wait(t, "not reloaded")
	if version() != "2" {
		t.Error(version())
	}
	if err := os.Remove(filepath.Join(h.o.Dir, "p.lua")); err != nil {
		t.Fatal(err)
	}
	write("p/init.lua", versioned("3", ""))
	waitFor(t, func() bool { return version() == "3" })
	write("p/init.lua", versioned("4", ""))
	waitFor(t, func() bool { return version() == "4" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
