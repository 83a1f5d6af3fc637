package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

const (
	crashWriters = 4
	crashRounds  = 8
)

// TestKill9 repeatedly kills the server while clients write. After each restart, the
// server has exactly the acknowledged objects, and matches find them. A write that was
// in progress is done as a whole or not at all.
func TestKill9(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	writers := newWriters(1)
	rng := rand.New(rand.NewPCG(2, 3))
	p := serve(t, config, dir)
	for round := range crashRounds {
		writeUntil(t, p, writers, int64(20+rng.IntN(300)), p.command.Process.Kill)
		if code := p.wait(); code != -1 {
			t.Fatalf("round %d: the server was not killed, it ended with code %d:\n%s", round, code, p.log())
		}
		p = serve(t, config, dir)
		checkContent(t, p, writers)
	}
	acked, done := 0, 0
	for _, w := range writers {
		acked += w.acked
		done += w.done
	}
	t.Logf("%d writes acknowledged; %d of %d writes in progress were done", acked, done, crashRounds*crashWriters)
}

// TestSIGTERMUnderLoad: after SIGTERM, a server completes the requests in progress and
// loses no data.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	writers := newWriters(2)
	for range 3 {
		p := serve(t, config, dir)
		checkContent(t, p, writers)
		writeUntil(t, p, writers, 150, func() error { return p.command.Process.Signal(syscall.SIGTERM) })
		if code := p.wait(); code != 0 || !strings.Contains(p.log(), "stopped") {
			t.Fatalf("the server ended with code %d:\n%s", code, p.log())
		}
	}
	checkContent(t, serve(t, config, dir), writers)
}

func newWriters(seed uint64) []*writer {
	writers := make([]*writer, crashWriters)
	for i := range writers {
		writers[i] = &writer{Rand: rand.New(rand.NewPCG(seed, uint64(i))), number: i, content: newContent()}
	}
	return writers
}

// writeUntil lets all writers write. After the given number of requests it calls end.
// It returns when all writers have ended.
func writeUntil(t *testing.T, p *process, writers []*writer, requests int64, end func() error) {
	t.Helper()
	var sent atomic.Int64
	var all sync.WaitGroup
	for _, w := range writers {
		all.Go(func() {
			err := w.write(p, func() {
				if sent.Add(1) == requests {
					all.Go(func() { // while the request is in progress
						if err := end(); err != nil {
							t.Error(err)
						}
					})
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.Fatal(p.log())
	}
}

// checkContent compares all data of the server with the contents of the writers, and
// matches every face.
func checkContent(t *testing.T, p *process, writers []*writer) {
	t.Helper()
	found := make([]content, len(writers))
	for i := range found {
		found[i] = newContent()
	}
	var ids []string
	for _, f := range export(t, p) {
		if len(f.Descriptor.Data) != 16 {
			t.Fatalf("%+v", f)
		}
		owner := int(f.Descriptor.Data[0]-'0')*10 + int(f.Descriptor.Data[1]-'0')
		found[owner].faces[f.FaceID] = storedFace{string(f.Descriptor.Data), f.UserData, joinIDs(f.Lists)}
		ids = append(ids, f.FaceID)
	}
	var lists struct {
		Lists []struct {
			ListID    string `json:"list_id"`
			FaceCount int    `json:"face_count"`
		}
		Count int
	}
	p.mustCall(t, "GET", "/1/lists?page_size=1000", nil, &lists)
	known := 0
	for i, w := range writers {
		for _, l := range lists.Lists {
			mine := w.content.lists[l.ListID] || w.pending != nil && strings.Contains(string(mustJSON(t, w.pending.body)), l.ListID)
			if !mine {
				continue
			}
			known++
			found[i].lists[l.ListID] = true
			if n := len(found[i].facesIn(l.ListID)); n != l.FaceCount {
				t.Errorf("list %s has %d faces, face_count is %d", l.ListID, n, l.FaceCount)
			}
		}
		if err := w.settle(found[i]); err != nil {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if known != lists.Count || len(lists.Lists) != lists.Count {
		t.Errorf("%d lists, %d of them belong to a writer", lists.Count, known)
	}
	matchAll(t, p, ids)
	if t.Failed() {
		t.FailNow()
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exported is a line of an export.
type exported struct {
	FaceID     string `json:"face_id"`
	UserData   string `json:"user_data"`
	Lists      []string
	Descriptor struct {
		Version int
		Data    []byte
	}
}

func export(t *testing.T, p *process) []exported {
	t.Helper()
	status, text, err := p.call("GET", "/1/export?origin=faces", nil)
	if err != nil || status != 200 {
		t.Fatalf("export: %d %v\n%s", status, err, p.log())
	}
	var all []exported
	for lines := json.NewDecoder(bytes.NewReader(text)); lines.More(); {
		var f exported
		if err := lines.Decode(&f); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// matchAll matches every face by its ID. The nearest face is the face itself, at distance
// 0, because no two descriptors are equal.
func matchAll(t *testing.T, p *process, ids []string) {
	t.Helper()
	for chunk := range slices.Chunk(ids, 1000) {
		var references []map[string]string
		for _, id := range chunk {
			references = append(references, map[string]string{"type": "face", "id": id})
		}
		var answer []struct {
			Matches []struct {
				Result []struct {
					Face struct {
						FaceID string `json:"face_id"`
					}
					Distance *float64
				}
			}
		}
		p.mustCall(t, "POST", "/1/matcher/faces", map[string]any{
			"references": references,
			"candidates": []any{map[string]any{"filters": map[string]any{"origin": "faces"}, "limit": 1, "targets": []string{"face_id", "distance"}}},
		}, &answer)
		if len(answer) != len(chunk) {
			t.Fatalf("%d answers to %d references", len(answer), len(chunk))
		}
		for i, id := range chunk {
			r := answer[i].Matches[0].Result
			if len(r) != 1 || r[0].Face.FaceID != id || r[0].Distance == nil || *r[0].Distance != 0 {
				t.Fatalf("face %s was not matched: %+v", id, r)
			}
		}
	}
}

// TestSecondServer: a second server refuses a data directory in use with one line, and
// the first server still works.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	first := serve(t, config, dir)
	second := start(t, config, dir)
	if code := second.wait(); code != 1 {
		t.Errorf("the second server ended with code %d", code)
	}
	if log := second.log(); strings.Count(log, "\n") != 1 || !strings.Contains(log, dir) || !strings.Contains(log, "in use") {
		t.Errorf("the log of the second server:\n%s", log)
	}
	var answer struct{ Count int }
	first.mustCall(t, "GET", "/1/faces", nil, &answer)
}

// TestMissingVersion: a server without the version of stored descriptors does not start,
// names the version, and changes nothing.
func TestMissingVersion(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	writers := newWriters(3)
	p := serve(t, config, dir)
	writeUntil(t, p, writers, 100, func() error { return p.command.Process.Signal(syscall.SIGTERM) })
	if code := p.wait(); code != 0 {
		t.Fatal(code)
	}
	for name, text := range map[string]string{"no versions": "{}\n", "other length": strings.Replace(serveConfig, "length: 16", "length: 17", 1)} {
		before := readFiles(t, dir)
		other := start(t, writeConfig(t, text), dir)
		if code := other.wait(); code != 1 {
			t.Errorf("%s: code %d", name, code)
		}
		if log := other.log(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "version 1001") {
			t.Errorf("%s: the log:\n%s", name, log)
		}
		after := readFiles(t, dir)
		for file, content := range before {
			if after[file] != content {
				t.Errorf("%s: %s was changed", name, file)
			}
		}
		for file := range after {
			if _, ok := before[file]; !ok {
				t.Errorf("%s: %s was created", name, file)
			}
		}
	}
	checkContent(t, serve(t, config, dir), writers)
}

// readFiles reads all files of a directory except the lock.
func readFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		b, err := os.ReadFile(name)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
