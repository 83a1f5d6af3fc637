package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"nearside/internal/snapshot"
)

// run runs a nearside command and returns its output, which must have the given exit code.
func run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.Command("nearside", args...)
	command.Stdout, command.Stderr, command.Dir = &out, &errs, t.TempDir()
	_ = command.Run()
	if got := command.ProcessState.ExitCode(); got != code {
		t.Fatalf("nearside %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// everything returns all that a server has, as clients read it.
func everything(t *testing.T, p *process) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range []string{
		"/1/export?origin=faces", "/1/export?origin=events", "/1/lists?page_size=1000",
		"/1/attributes?page_size=1000&descriptor=1", "/1/faces?page_size=1000&descriptor=1", "/1/events?page_size=1000&descriptor=1",
	} {
		status, text, err := p.call("GET", path, nil)
		if err != nil || status != 200 {
			t.Fatalf("%s: %d %s %v", path, status, text, err)
		}
		all[path] = string(text)
		if strings.HasPrefix(path, "/1/export") { // the order of an export is that of memory
			all[path] = sortedLines(string(text))
		}
	}
	return all
}

func sameThings(t *testing.T, want, got map[string]string) {
	t.Helper()
	for path, text := range want {
		if got[path] != text {
			t.Errorf("%s: got %.2000s\nwant %.2000s", path, got[path], text)
		}
	}
}

const (
	snapshotAccount = "6c9a4f0e-0b51-4d6e-9c39-0a2f4be1c001"
	snapshotList    = "8d3a1f43-7f0c-4d0e-9a35-3b8e4f6f2f10"
	emptyList       = "8d3a1f43-7f0c-4d0e-9a35-3b8e4f6f2f11"
	ownedList       = "8d3a1f43-7f0c-4d0e-9a35-3b8e4f6f2f12"
)

// storeOfEverything stores objects of every origin, with lists and accounts.
func storeOfEverything(t *testing.T, p *process) {
	t.Helper()
	descriptor := func(n int) map[string]any {
		return map[string]any{"version": 1001, "data": fmt.Appendf(nil, "%016d", n)}
	}
	id := func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
	send := func(method, path string, body any) {
		t.Helper()
		if status, text, err := p.call(method, path, body); err != nil || status/100 != 2 {
			t.Fatalf("%s %s: %d %s %v", method, path, status, text, err)
		}
	}
	send("POST", "/1/lists", map[string]any{"list_id": snapshotList, "user_data": "staff of \"both\" houses\n"})
	send("POST", "/1/lists", map[string]any{"list_id": emptyList, "user_data": "empty"})
	send("POST", "/1/lists", map[string]any{"list_id": ownedList, "account_id": snapshotAccount})
	for n := range 30 {
		face := map[string]any{"face_id": id(n), "external_id": fmt.Sprint("person ", n), "user_data": "ä\u2028", "age": n, "gender": n % 2, "descriptor": descriptor(n)}
		switch n % 3 {
		case 0:
			face["lists"] = []string{snapshotList}
		case 1:
			face["account_id"], face["lists"] = snapshotAccount, []string{ownedList, snapshotList}
		}
		send("POST", "/1/faces", face)
		send("POST", "/1/events", map[string]any{
			"event_id": id(n + 100), "source": "gate", "meta": map[string]any{"n": n, "deep": []any{1.5, nil, "x"}}, "tags": []string{"a", strconv.Itoa(n % 4)},
			"create_time": fmt.Sprintf("2026-01-%02dT10:00:00.%03dZ", n+1, n), "location": map[string]any{"city": "Ulm", "geo_position": map[string]any{"longitude": 10.5, "latitude": float64(n)}},
			"face_descriptor": descriptor(n + 100),
		})
		send("PUT", "/1/attributes/"+id(n+200)+"?ttl=2000000000", map[string]any{"age": n, "descriptor": descriptor(n + 200)})
	}
	send("DELETE", "/1/faces/"+id(7), nil)
}

// TestSnapshotOfEverything: what a server has comes back byte for byte, from the folder and
// from the tar file, and the start after a restore uses the segments.
func TestSnapshotOfEverything(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	data := filepath.Join(dir, "data")
	p := serve(t, config, data)
	storeOfEverything(t, p)
	p.signal(t, syscall.SIGTERM) // writes the segments
	p.wait()
	p = serve(t, config, data)
	want := everything(t, p)

	made, _ := run(t, 0, "snapshot", "create", "first", "--url", p.url)
	var report struct{ Records, Files, Bytes int }
	if err := json.Unmarshal([]byte(made), &report); err != nil || report.Records != 92 || report.Bytes == 0 {
		t.Errorf("got %s %v", made, err)
	}
	archive := filepath.Join(dir, "first.tar")
	run(t, 0, "snapshot", "get", "first", "-o", archive, "--url", p.url)
	if listed, _ := run(t, 0, "snapshot", "list", "--url", p.url); !strings.Contains(listed, `"name":"first"`) || strings.Count(listed, "\n") != 1 {
		t.Errorf("got %s", listed)
	}
	if status, text, err := p.call("DELETE", "/1/faces?user_data="+url.QueryEscape("ä\u2028"), nil); err != nil || status != 200 {
		t.Fatal(status, string(text), err)
	}
	for i, from := range []string{filepath.Join(data, "snapshots", "first"), archive} {
		run(t, 0, "snapshot", "verify", from)
		target := filepath.Join(dir, "restored", strconv.Itoa(i))
		run(t, 0, "snapshot", "restore", from, "--data-dir", target)
		_, text := run(t, 1, "snapshot", "restore", from, "--data-dir", target)
		if !strings.Contains(text, "must be empty") {
			t.Errorf("got %s", text)
		}
		if _, err := os.Stat(filepath.Join(target, "segments", "MANIFEST")); err != nil {
			t.Error(err)
		}
		restored := serve(t, config, target)
		sameThings(t, want, everything(t, restored))
		if log := restored.log(); strings.Contains(log, "segments could not be used") {
			t.Errorf("the segments were not used:\n%s", log)
		}
		eventually(t, func() error {
			if !strings.Contains(restored.log(), "the database was verified") { // only after a start from segments
				return fmt.Errorf("not verified:\n%s", restored.log())
			}
			return nil
		})
	}
	run(t, 0, "snapshot", "delete", "first", "--url", p.url)
	if listed, _ := run(t, 0, "snapshot", "list", "--url", p.url); listed != "" {
		t.Errorf("got %s", listed)
	}
}

// history remembers the contents of a writer after each step, with the ticks between which the
// step was done.
type history struct {
	*writer
	moments []moment
}

// moment is the content after a step. Ticks count the requests and answers of all writers.
type moment struct {
	content     content
	sent, acked int64
}

// writeHistory writes until the server does not answer any more, or until stop is closed.
func (h *history) writeHistory(p *process, ticks *atomic.Int64, stop <-chan struct{}) error {
	h.moments = append(h.moments, moment{content: h.content.clone()})
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		op := h.next()
		sent := ticks.Add(1)
		status, answer, err := p.call(op.method, op.path, op.body)
		if err != nil || status/100 != 2 {
			return fmt.Errorf("%s %s: %d %s %w", op.method, op.path, status, answer, err)
		}
		acked := ticks.Add(1)
		for _, step := range op.steps {
			step(h.content)
			h.moments = append(h.moments, moment{h.content.clone(), sent, acked})
		}
	}
}

// find returns the index of the last moment with this content, or -1.
func (h *history) find(found content) int {
	for i, m := range slices.Backward(h.moments) {
		if m.content.equal(found) {
			return i
		}
	}
	return -1
}

// TestSnapshotWhileWriting: what is restored from a snapshot that was made while clients wrote
// at full speed is the state of one moment. It has all that was acknowledged before the
// snapshot was asked for, nothing that was sent after it was made, and nothing whose
// predecessor is missing.
func TestSnapshotWhileWriting(t *testing.T) {
	t.Parallel()
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	p := serve(t, config, filepath.Join(dir, "data"))
	histories := make([]*history, crashWriters)
	var ticks atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	for i := range histories {
		histories[i] = &history{writer: &writer{Rand: rand.New(rand.NewPCG(8, uint64(i))), number: i, content: newContent()}}
		all.Go(func() {
			if err := histories[i].writeHistory(p, &ticks, stop); err != nil {
				t.Error(err)
			}
		})
	}
	const rounds = 4
	var before, after [rounds]int64
	for round := range rounds {
		eventually(t, func() error { // the histories are of different lengths
			if n := ticks.Load(); n < int64(60*(round+1)) {
				return fmt.Errorf("%d ticks", n)
			}
			return nil
		})
		before[round] = ticks.Add(1)
		run(t, 0, "snapshot", "create", fmt.Sprint("s", round), "--url", p.url)
		after[round] = ticks.Add(1)
	}
	close(stop)
	all.Wait()
	if t.Failed() {
		return
	}
	during := 0
	for round := range rounds {
		target := filepath.Join(dir, fmt.Sprint("restored", round))
		run(t, 0, "snapshot", "restore", filepath.Join(dir, "data", "snapshots", fmt.Sprint("s", round)), "--data-dir", target)
		restored := serve(t, config, target)
		during += checkMoment(t, restored, histories, before[round], after[round])
		restored.signal(t, syscall.SIGTERM)
		restored.wait()
	}
	t.Logf("%d of the writes in the snapshots were made after they were asked for", during)
}

// checkMoment checks that the content of a server is a moment of the histories. It returns how
// many steps after the tick before it has.
func checkMoment(t *testing.T, p *process, histories []*history, before, after int64) (during int) {
	t.Helper()
	found := contentOf(t, p, histories)
	newest, oldest := int64(0), int64(1)<<62 // the last write that it has was sent, and the first that it lacks was acknowledged
	for i, h := range histories {
		at := h.find(found[i])
		if at < 0 {
			t.Errorf("writer %d: its content is that of no moment", i)
			continue
		}
		newest = max(newest, h.moments[at].sent)
		if h.moments[at].acked > before {
			during++
		}
		if at+1 < len(h.moments) {
			oldest = min(oldest, h.moments[at+1].acked)
		}
	}
	switch {
	case oldest < before:
		t.Errorf("a write was acknowledged at %d and is missing, but the snapshot was asked for at %d", oldest, before)
	case newest > after:
		t.Errorf("a write was sent at %d and is there, but the snapshot was made at %d", newest, after)
	case newest > oldest:
		t.Errorf("a write that was acknowledged at %d is missing, but one that was sent at %d is there", oldest, newest)
	}
	return during
}

// contentOf returns what a server has of each writer.
func contentOf(t *testing.T, p *process, histories []*history) []content {
	t.Helper()
	found := make([]content, len(histories))
	for i := range found {
		found[i] = newContent()
	}
	for _, f := range export(t, p) {
		owner := int(f.Descriptor.Data[0]-'0')*10 + int(f.Descriptor.Data[1]-'0')
		found[owner].faces[f.FaceID] = storedFace{string(f.Descriptor.Data), f.UserData, joinIDs(f.Lists)}
	}
	var lists struct {
		Lists []struct {
			ListID string `json:"list_id"`
		}
	}
	p.mustCall(t, "GET", "/1/lists?page_size=1000", nil, &lists)
	for i, h := range histories {
		mine := map[string]bool{}
		for _, m := range h.moments {
			for id := range m.content.lists {
				mine[id] = true
			}
		}
		for _, l := range lists.Lists {
			if mine[l.ListID] {
				found[i].lists[l.ListID] = true
			}
		}
	}
	return found
}

// TestKillDuringSnapshots kills the server again and again while clients write and snapshots
// are made. Then no acknowledged write is lost, every snapshot that is listed is complete, and
// nothing else is left. NEARSIDE_KILLS is the number of kills.
func TestKillDuringSnapshots(t *testing.T) {
	t.Parallel()
	kills := 6
	if text := os.Getenv("NEARSIDE_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	data := filepath.Join(dir, "data")
	folder := filepath.Join(data, "snapshots")
	writers, rng := newWriters(21), rand.New(rand.NewPCG(22, 23))
	p := serve(t, config, data)
	complete, cut := 0, 0
	for round := range kills {
		name := fmt.Sprint("s", round)
		asked := make(chan bool, 1)
		write := int64(1 + rng.IntN(60))
		go func(p *process) {
			status, _, err := p.call("POST", "/1/snapshots", map[string]string{"name": name})
			asked <- err == nil && status == 202
		}(p)
		writeUntil(t, p, writers, write, p.command.Process.Kill)
		if code := p.wait(); code != -1 {
			t.Fatalf("the server was not killed, it ended with code %d:\n%s", code, p.log())
		}
		<-asked
		before := slices.DeleteFunc(namesIn(t, folder), func(name string) bool { return strings.HasPrefix(name, ".") })
		p = serve(t, config, data)
		checkContent(t, p, writers)
		for _, left := range namesIn(t, folder) {
			if strings.HasPrefix(left, ".") {
				t.Errorf("round %d: %s is left", round, left)
			}
		}
		if _, err := os.Stat(filepath.Join(data, stagingFolder)); err == nil {
			t.Errorf("round %d: %s is left", round, stagingFolder)
		}
		switch {
		case len(before) == 0:
			cut++
		default:
			complete++
			checkSnapshots(t, folder)
		}
		if round%10 == 5 && len(before) > 0 {
			checkRestored(t, config, filepath.Join(folder, before[0]))
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d:\n%s", round, p.log())
		}
	}
	t.Logf("%d kills: %d snapshots were complete, %d were not", kills, complete, cut)
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// checkSnapshots verifies all snapshots in a folder.
func checkSnapshots(t *testing.T, folder string) {
	t.Helper()
	for _, name := range namesIn(t, folder) {
		if _, err := snapshot.Verify(t.Context(), filepath.Join(folder, name), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkRestored restores a snapshot and starts a server with it.
func checkRestored(t *testing.T, config, from string) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "restored")
	run(t, 0, "snapshot", "restore", from, "--data-dir", target)
	p := serve(t, config, target)
	var ids []string
	for _, f := range export(t, p) {
		ids = append(ids, f.FaceID)
	}
	matchAll(t, p, ids)
	p.signal(t, syscall.SIGTERM)
	p.wait()
}

func sortedLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
