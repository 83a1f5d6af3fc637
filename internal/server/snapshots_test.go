package server_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/internal/snapshot"
	"nearside/internal/task"
)

// makeSnapshot makes a snapshot without a task.
func (x *service) makeSnapshot(name string) {
	x.Helper()
	_, err := x.snapshots.Create(x.Context(), x.store, snapshot.Request{Name: name, Version: "1.2.3", Progress: func(float64) {}})
	check(x, err)
}

func TestSnapshots(t *testing.T) {
	jobs := make(chan snapshot.Job, 1)
	var x *service
	work := func(ctx context.Context, t *task.Task) (any, error) {
		var job snapshot.Job
		if err := t.Input(&job); err != nil {
			return nil, err
		}
		jobs <- job
		_, err := x.snapshots.Create(ctx, x.store, snapshot.Request{Name: job.Name, Version: "1.2.3", Progress: t.SetProgress})
		return map[string]any{"name": job.Name}, err
	}
	x = start(t, func(s *settings) { s.tasks = []task.Kind{{Name: snapshot.TaskKind, Cancels: true, Run: work}} })
	const create, byName = "/1/snapshots", "/1/snapshots/"
	x.call("GET", create, "").status(200).json(`{"snapshots":[]}`)
	for body, place := range map[string]string{
		`{"name": ""}`: "name", `{"name": ".."}`: "name", `{"name": "a/b"}`: "name", `{"name": 7}`: "name", `{"names": "a"}`: "names", `[]`: "",
	} {
		x.call("POST", create, body).fault(12022, place)
	}
	x.call("POST", create, `{`).fault(12001)
	for _, name := range []string{"none", ".hidden", "a%00", "...", "-"} {
		x.call("GET", byName+name, "").fault(12055, "name")
		x.call("DELETE", byName+name, "").fault(12055, "name")
	}

	for _, path := range []string{"..%2Fdata", "%2e%2e", "..", "a/b"} { // resources outside the folder
		x.call("DELETE", byName+path, "").fault(12010)
	}

	id := x.call("POST", create, `{"name": "first"}`).status(202).at("task").(string)
	<-jobs
	x.waitTask(id, "done")
	x.call("POST", create, `{"name": "first"}`).fault(12054, "name", "first")
	id = x.call("POST", create, "").status(202).at("task").(string)
	named := (<-jobs).Name
	x.waitTask(id, "done")
	if err := snapshot.CheckName(named); err != nil || !strings.HasPrefix(named, "20") {
		t.Errorf("without a name: got %q", named)
	}
	all := x.call("GET", create, "").status(200).at("snapshots").([]any)
	if len(all) != 2 || all[0].(map[string]any)["name"] != "first" || all[0].(map[string]any)["scheduled"] != false {
		t.Errorf("got %v", all)
	}

	got := x.call("GET", byName+"first", "").status(200)
	if names := tarNames(t, got.body); names[0] != "first/MANIFEST.json" || len(names) < 5 {
		t.Errorf("got %q", names)
	}
	if h := x.call("HEAD", byName+"first", "").status(200); len(h.body) != 0 {
		t.Errorf("HEAD: got %d bytes", len(h.body))
	}
	x.call("DELETE", byName+"first", "").status(204)
	x.call("GET", byName+"first", "").fault(12055, "first")
}

func tarNames(t *testing.T, archive []byte) (names []string) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// TestDamagedSnapshot: a snapshot whose file was changed is not sent as if it were complete.
func TestDamagedSnapshot(t *testing.T) {
	x := start(t)
	x.makeSnapshot("a")
	info, err := x.snapshots.Find("a")
	check(t, err)
	name := filepath.Join(info.Dir, "data", "FORMAT")
	check(t, os.WriteFile(name, []byte("nearside 2\n"), 0o600))
	answer, err := x.client.Get("http://" + x.address + "/1/snapshots/a")
	if err == nil { // the beginning was sent
		_, err = io.ReadAll(answer.Body)
		check(t, answer.Body.Close())
	}
	if err == nil {
		t.Error("the answer is complete")
	}
	if !strings.Contains(x.log.String(), "data/FORMAT was changed") {
		t.Errorf("got %s", x.log.String())
	}
	check(t, os.WriteFile(filepath.Join(info.Dir, "MANIFEST.json"), nil, 0o600))
	x.call("GET", "/1/snapshots/a", "").status(500)
	if all := x.call("GET", "/1/snapshots", "").status(200).at("snapshots").([]any); len(all) != 1 || all[0].(map[string]any)["error"] == nil {
		t.Errorf("got %v", all)
	}
}
