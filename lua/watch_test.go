package lua

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nearside/lua/luatest"
)

// writeFile writes a file and the folders above it.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// symlink creates or replaces a link in one step.
func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startWatching runs Watch until the test ends.
func startWatching(t *testing.T, h *Host) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestWatch: a change of a file causes a reload, in a new folder too. If the reload fails,
// it is logged and the running generation stays.
func TestWatch(t *testing.T) {
	h, log := startHost(t, versioned("1", ""))
	version := func() string { return h.Plugins()[0].Version }
	write := func(name, source string) {
		t.Helper()
		writeFile(t, filepath.Join(h.o.Dir, name), source)
	}
	write("p.lua", versioned("2", "")) // before Watch begins, so the file differs from the loaded one
	startWatching(t, h)
	luatest.WaitFor(t, func() bool { return version() == "2" })
	write("p.lua", "return {")
	log.Wait(t, "not reloaded")
	if version() != "2" {
		t.Error(version())
	}
	if err := os.Remove(filepath.Join(h.o.Dir, "p.lua")); err != nil {
		t.Fatal(err)
	}
	write("p/init.lua", versioned("3", ""))
	luatest.WaitFor(t, func() bool { return version() == "3" })
	write("p/init.lua", versioned("4", ""))
	luatest.WaitFor(t, func() bool { return version() == "4" })
}

// TestWatchFollowsLinks: every way to replace files causes a reload.
func TestWatchFollowsLinks(t *testing.T) {
	for name, f := range map[string]struct {
		first, second func(t *testing.T, root string)
	}{
		"the folder is a link, and a file in it changes": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/rel/p.lua", versioned("1", ""))
				symlink(t, "rel", root+"/plugins")
			},
			func(t *testing.T, root string) { writeFile(t, root+"/rel/p.lua", versioned("2", "")) },
		},
		"the folder is a link, and is swapped": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/rel/1/p.lua", versioned("1", ""))
				symlink(t, "rel/1", root+"/plugins")
			},
			func(t *testing.T, root string) {
				writeFile(t, root+"/rel/2/p.lua", versioned("2", ""))
				now := time.Unix(1000, 0) // as in container images, where all files have the same time
				for _, file := range []string{root + "/rel/1/p.lua", root + "/rel/2/p.lua"} {
					if err := os.Chtimes(file, now, now); err != nil {
						t.Fatal(err)
					}
				}
				symlink(t, "rel/2", root+"/plugins")
			},
		},
		"a mounted ConfigMap": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/plugins/..1/p.lua", versioned("1", ""))
				symlink(t, "..1", root+"/plugins/..data")
				symlink(t, "..data/p.lua", root+"/plugins/p.lua")
			},
			func(t *testing.T, root string) {
				writeFile(t, root+"/plugins/..2/p.lua", versioned("2", ""))
				symlink(t, "..2", root+"/plugins/..data")
			},
		},
		"a plugin is a link": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/src/p.lua", versioned("1", ""))
				symlink(t, "../src/p.lua", root+"/plugins/p.lua")
			},
			func(t *testing.T, root string) { writeFile(t, root+"/src/p.lua", versioned("2", "")) },
		},
		"a plugin's folder is a link, with folders in it": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/src/init.lua", `return require("./a/b/c")`)
				writeFile(t, root+"/src/a/b/c.lua", versioned("1", ""))
				symlink(t, "../src", root+"/plugins/p")
			},
			func(t *testing.T, root string) { writeFile(t, root+"/src/a/b/c.lua", versioned("2", "")) },
		},
		"a library is a link": {
			func(t *testing.T, root string) {
				writeFile(t, root+"/src/x.lua", versioned("1", ""))
				writeFile(t, root+"/plugins/p.lua", `return require("lib.x")`)
				symlink(t, "../../src/x.lua", root+"/plugins/lib/x.lua")
			},
			func(t *testing.T, root string) { writeFile(t, root+"/src/x.lua", versioned("2", "")) },
		},
		"the folder is removed and created again": {
			func(t *testing.T, root string) { writeFile(t, root+"/plugins/p.lua", versioned("1", "")) },
			func(t *testing.T, root string) {
				if err := os.RemoveAll(root + "/plugins"); err != nil {
					t.Fatal(err)
				}
				writeFile(t, root+"/plugins/p.lua", versioned("2", ""))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			f.first(t, root)
			h, _ := startHost(t, "", func(o *Options) { o.Dir = root + "/plugins" })
			startWatching(t, h)
			if v := h.Plugins()[0].Version; v != "1" {
				t.Fatal(v)
			}
			f.second(t, root)
			luatest.WaitFor(t, func() bool { return h.Plugins()[0].Version == "2" })
		})
	}
}

// TestSnapshot: the same files give the same sum, circular links do not loop forever, and
// entries that cannot be read are reported.
func TestSnapshot(t *testing.T) {
	dir := luatest.Folder(t, map[string]string{"a.lua": "1", "b/init.lua": "2", ".git/x.lua": "3", "note.txt": "4"})
	symlink(t, "..", dir+"/b/up")
	symlink(t, "nowhere", dir+"/dangling.lua")
	first := snapshotOf(dir)
	if first.problem != "" {
		t.Error(first.problem)
	}
	writeFile(t, dir+"/.git/x.lua", "33")
	writeFile(t, dir+"/note.txt", "44")
	if snapshotOf(dir) != first {
		t.Error("the sum depends on files that no plugin can use")
	}
	writeFile(t, dir+"/b/init.lua", "22")
	second := snapshotOf(dir)
	if second == first {
		t.Error("the sum does not depend on the change of a file")
	}
	if err := os.Remove(dir + "/a.lua"); err != nil {
		t.Fatal(err)
	}
	if snapshotOf(dir) == second {
		t.Error("the sum does not depend on the removal of a file")
	}
	if none := snapshotOf(dir + "/none"); none.problem != "" || none == first {
		t.Error(none)
	}
	if bad := snapshotOf(dir + "/a\x00"); bad.problem == "" {
		t.Error("a folder that cannot be read is not reported")
	}
}
