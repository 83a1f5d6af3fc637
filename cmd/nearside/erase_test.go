package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nearside/internal/erase"
	"nearside/matcher"
)

// erasedFace is a face of the tests of erasures.
type erasedFace struct {
	id   matcher.ID
	data []byte
}

func randomFaces(rng *rand.Rand, n int) []erasedFace {
	faces := make([]erasedFace, n)
	for i := range faces {
		for j := range faces[i].id {
			faces[i].id[j] = byte(rng.Uint32())
		}
		faces[i].data = make([]byte, 16)
		for j := range faces[i].data {
			faces[i].data[j] = byte(rng.Uint32())
		}
	}
	return faces
}

// importFaces stores faces. extra are further fields of each, as JSON.
func importFaces(t *testing.T, p *process, faces []erasedFace, extra string) {
	t.Helper()
	var lines strings.Builder
	for _, f := range faces {
		fmt.Fprintf(&lines, `{"face_id": %q, "descriptor": {"version": 1001, "data": %q}%s}`+"\n", f.id, base64.StdEncoding.EncodeToString(f.data), extra)
	}
	var answer struct{ Accepted int }
	p.mustCall(t, "POST", "/1/import?origin=faces", lines.String(), &answer)
	if answer.Accepted != len(faces) {
		t.Fatalf("%d of %d faces were accepted", answer.Accepted, len(faces))
	}
}

// taskState is a task as GET /1/tasks/{id} shows it.
type taskState struct {
	ID, State, Error string
	Report           erase.Report
}

func (p *process) taskState(t *testing.T, id string) (s taskState) {
	t.Helper()
	p.mustCall(t, "GET", "/1/tasks/"+id, nil, &s)
	return s
}

// endTask waits for the end of a task, which must not fail.
func (p *process) endTask(t *testing.T, id string) erase.Report {
	t.Helper()
	for {
		switch s := p.taskState(t, id); s.State {
		case "done":
			return s.Report
		case "failed":
			t.Fatalf("the task has failed: %s\n%s", s.Error, p.log())
		}
	}
}

// checkErased checks that the server does not find the faces, and that no file has their
// bytes.
func checkErased(t *testing.T, p *process, dir string, faces []erasedFace) {
	t.Helper()
	for _, f := range faces {
		status, text, err := p.call("GET", "/1/faces/"+f.id.String(), nil)
		if err != nil || status != http.StatusNotFound {
			t.Errorf("face %s: got %d %s %v, want 404", f.id, status, text, err)
		}
		var found []struct {
			Matches []struct {
				Result []struct {
					Face struct {
						FaceID string `json:"face_id"`
					}
				}
			}
		}
		reference := map[string]any{"type": "raw_descriptor", "data": map[string]any{"version": 1001, "data": f.data}}
		p.mustCall(t, "POST", "/1/matcher/faces", map[string]any{
			"references": []any{reference}, "candidates": []any{map[string]any{"filters": map[string]any{"origin": "faces"}, "limit": 3}},
		}, &found)
		for _, row := range found[0].Matches[0].Result {
			if row.Face.FaceID == f.id.String() {
				t.Errorf("a match finds the erased face %s", f.id)
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "SPARE" {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // it was replaced meanwhile
		}
		for _, f := range faces {
			if bytes.Contains(text, f.data) || bytes.Contains(text, f.id[:]) || bytes.Contains(text, []byte(f.id.String())) {
				t.Errorf("%s has the face %s", path, f.id)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// eraseKills is how often TestKillErasures kills a server. The variable
// NEARSIDE_ERASE_KILLS sets another number.
const eraseKills = 5

// TestKillErasures kills the server at random moments of erasures. After each restart, the
// task continues; at its end, nothing of the erased faces is left, and all other faces
// are still there.
func TestKillErasures(t *testing.T) {
	t.Parallel()
	kills, seed := eraseKills, uint64(1)
	if text := os.Getenv("NEARSIDE_ERASE_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills, seed = n, rand.Uint64()
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	p := serve(t, config, dir)
	killed, ended := 0, 0
	for killed < kills {
		faces := randomFaces(rng, 400)
		importFaces(t, p, faces[:200], "")
		importFaces(t, p, faces[200:], `, "external_id": "kept"`)
		var ids []string
		for _, f := range faces[:200] {
			ids = append(ids, f.id.String())
		}
		var started struct{ Task string }
		p.mustCall(t, "POST", "/1/erase", map[string]any{"origin": "faces", "ids": ids}, &started)
		for interrupted := true; interrupted && killed < kills; {
			interrupted = false
			for range rng.IntN(1200) { // requests are the clock
				s := p.taskState(t, started.Task)
				if s.State == "failed" {
					t.Fatalf("the task has failed: %s\n%s", s.Error, p.log())
				}
				if interrupted = s.State == "running"; !interrupted {
					break
				}
			}
			if interrupted {
				if err := p.command.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				p.wait()
				killed++
				p = serve(t, config, dir)
			}
		}
		report := p.endTask(t, started.Task)
		ended++
		if report.Objects != 200 || len(report.Remains) > 0 {
			t.Errorf("seed %d, after %d kills: got %+v", seed, killed, report)
		}
		checkErased(t, p, dir, faces[:200])
		var kept struct{ Count int }
		p.mustCall(t, "POST", "/1/faces/find", map[string]any{"filters": map[string]any{"external_ids": []string{"kept"}}}, &kept)
		if kept.Count != 200*ended {
			t.Fatalf("seed %d, after %d kills: %d faces are left, want %d", seed, killed, kept.Count, 200*ended)
		}
	}
	t.Logf("%d kills in %d erasures", killed, ended)
}

// TestEraseCommand erases by ids, by a filter and by account with the command line.
func TestEraseCommand(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	config, dir := writeConfig(t, serveConfig), t.TempDir()
	p := serve(t, config, dir)
	faces := randomFaces(rng, 400)
	const account = "0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e"
	importFaces(t, p, faces[:100], "")
	importFaces(t, p, faces[100:200], `, "external_id": "old"`)
	importFaces(t, p, faces[200:300], `, "account_id": "`+account+`"`)
	importFaces(t, p, faces[300:], "")
	var list struct {
		ListID string `json:"list_id"`
	}
	p.mustCall(t, "POST", "/1/lists", map[string]any{"account_id": account}, &list)

	run := func(wantCode int, args ...string) (report erase.Report, stderr string) {
		t.Helper()
		var out, fault bytes.Buffer
		code := runCommand(append([]string{"erase", "--url", p.url}, args...), nil, &out, &fault)
		if code != wantCode {
			t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, wantCode, out.String(), fault.String())
		}
		if out.Len() > 0 {
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatal(err)
			}
		}
		return report, fault.String()
	}
	if r, _ := run(0, "--prove", "--id", faces[0].id.String(), "--id", faces[1].id.String()); r.Objects != 2 {
		t.Errorf("got %+v", r)
	}
	if r, _ := run(0, "--prove", "--filter", "external_ids=old"); r.Objects != 100 {
		t.Errorf("got %+v", r)
	}
	if r, _ := run(0, "--prove", "--account", account); r.Objects != 101 {
		t.Errorf("got %+v", r)
	}
	checkErased(t, p, dir, append(append([]erasedFace{}, faces[:2]...), faces[100:300]...))
	if status, _, err := p.call("GET", "/1/lists/"+list.ListID, nil); status != http.StatusNotFound || err != nil {
		t.Errorf("the list: got %d %v", status, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), faces[2].data, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, text := run(1, "--prove", "--id", faces[2].id.String()); len(r.Remains) != 1 || r.Remains[0].File != "notes" || !strings.Contains(text, "remains") {
		t.Errorf("got %+v %s", r, text)
	}
	for _, args := range [][]string{{}, {"--id", "x"}, {"--account", "x"}, {"--id", faces[3].id.String(), "--account", account}} {
		run(2, args...)
	}
	run(1, "--filter", "external_ids=nobody")
}
