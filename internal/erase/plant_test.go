package erase_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nearside/internal/erase"
	"nearside/internal/task"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// plant writes a file below the data directory.
func plant(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	testkit.Check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	testkit.Check(t, os.WriteFile(path, content, 0o600))
}

// interleaved returns a block of 16 rows in which row 5 is row and the others are random.
func (w *world) interleaved(row []byte) []byte {
	block := make([]byte, (len(row)+3)/4*64)
	for i := range block {
		block[i] = byte(w.rng.Uint32())
	}
	for i := range row {
		block[i/4*64+4*5+i%4] = row[i]
	}
	return append([]byte("some bytes before"), block...)
}

// byteCopy returns the byte copy of a float32 descriptor, as table.Coarse describes it.
func byteCopy(data []byte, step float64, cosine bool) (copied []byte) {
	var values []float64
	sum := 0.0
	for i := 0; i < len(data); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
		values = append(values, v)
		sum += v * v
	}
	for _, v := range values {
		if cosine {
			v /= math.Sqrt(sum)
		}
		copied = append(copied, byte(128+int(max(-127, min(127, math.RoundToEven(v/step))))))
	}
	return copied
}

// TestPlanted plants each layout of an erased object in a file of its own. The report
// names each of these files, and no other.
func TestPlanted(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	faces := w.fill(matcher.Faces, 200)
	var erased [3]*matcher.Object // by version
	for _, o := range faces {
		erased[o.Descriptors[0].Version-bytesVersion] = o
	}
	want := map[string]string{}
	add := func(name, found string, content []byte) {
		plant(t, dir, name, content)
		want[name] = found
	}
	for i, o := range erased {
		data, name := o.Descriptors[0].Data, fmt.Sprintf("planted/%d-", i)
		add(name+"contiguous", "descriptor", slices.Concat([]byte("x"), data, []byte("y")))
		for skip := range 3 {
			text := base64.StdEncoding.EncodeToString(slices.Concat([]byte("abc")[:skip], data, []byte("z")))
			add(fmt.Sprint(name, "base64-", skip), "descriptor", []byte(`{"data":"`+text+`"}`))
		}
		add(name+"id", "id", slices.Concat([]byte("xyz"), o.ID[:]))
		add(name+"id-text", "id", []byte("the face "+o.ID.String()+" was here"))
		if o.Descriptors[0].Version == bytesVersion {
			add(name+"interleaved", "descriptor", w.interleaved(data))
			continue
		}
		step := w.memory.CopySteps(o.Descriptors[0].Version)[0]
		copied := byteCopy(data, step, o.Descriptors[0].Version == cosineVersion)
		add(name+"copy", "descriptor", copied)
		add(name+"copy-interleaved", "descriptor", w.interleaved(copied))
	}
	plant(t, dir, "planted/innocent", faces[1].Descriptors[0].Data[:100])

	report := w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{erased[0].ID, erased[1].ID, erased[2].ID})}))
	got := map[string]string{}
	for _, m := range report.Remains {
		if m.Count != 1 || m.In != "file" {
			t.Errorf("got %+v, want one place in a file", m)
		}
		got[m.File] = m.Found
	}
	for name, found := range want {
		if got[name] != found {
			t.Errorf("%s: found %q, want %q", name, got[name], found)
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("%s was found", name)
		}
	}
	if report.Proven() {
		t.Error("the report says that nothing remains")
	}
}

// copyTree copies all files below a folder, except its lock.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for path, text := range filesOf(t, from) {
		name := testkit.Must(filepath.Rel(from, path))
		if filepath.Base(name) != "LOCK" {
			plant(t, to, name, []byte(text))
		}
	}
}

// TestOldDirectory puts copies of another data directory that has the same objects into
// the data directory. Each kind of file of them is found.
func TestOldDirectory(t *testing.T) {
	dir, old := t.TempDir(), t.TempDir()
	w := newWorld(t, dir, nil)
	faces := w.fill(matcher.Faces, 200)
	t.Run("old", func(t *testing.T) {
		o := newWorld(t, old, nil)
		o.put(faces...)
		copyTree(t, filepath.Join(old, "pebble"), filepath.Join(dir, "log")) // everything is in the log
	})
	copyTree(t, old, filepath.Join(dir, "closed")) // everything is in a table and in segments
	report := w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs(idsOf(faces))}))
	found := func(part, suffix, in string) int {
		n := 0
		for _, m := range report.Remains {
			if strings.HasPrefix(m.File, part+"/") && strings.HasSuffix(m.File, suffix) && m.In == in {
				n += m.Count
			}
		}
		return n
	}
	n := len(faces)
	for _, c := range []struct {
		part, suffix, in string
		count            int
	}{
		{"log", ".log", "record of faces", 2 * n}, // IDs and descriptors
		{"closed", ".sst", "record of faces", 2 * n},
		{"log", ".log", "journal", n},
		{"closed", ".seg", "file", 2 * n},
	} {
		if got := found(c.part, c.suffix, c.in); got < c.count {
			t.Errorf("%s/*%s: %d places in %s, want %d", c.part, c.suffix, got, c.in, c.count)
		}
	}
	manifests := 0
	for _, m := range report.Remains {
		if strings.Contains(m.File, "MANIFEST-") {
			manifests++
		}
		if !strings.HasPrefix(m.File, "log/") && !strings.HasPrefix(m.File, "closed/") {
			t.Errorf("the directory itself still has %+v", m)
		}
	}
	if manifests == 0 {
		t.Error("the keys in the manifest were not found")
	}
}

// TestShared erases a face whose descriptor another face and an event have, too.
func TestShared(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	for _, version := range []uint32{bytesVersion, floatVersion} {
		twin, erased, event := w.object(matcher.Faces, version), w.object(matcher.Faces, version), w.object(matcher.Events, version)
		erased.Descriptors, event.Descriptors = twin.Descriptors, twin.Descriptors
		w.put(twin, erased)
		w.put(event)
		report := w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{erased.ID})}))
		if len(report.Remains) != 0 || report.Shared < 4 { // two records and two segments
			t.Errorf("got %+v", report)
		}
		plant(t, dir, "copy", erased.Descriptors[0].Data)
		report = w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{twin.ID})}))
		if len(report.Remains) != 1 || report.Remains[0].File != "copy" {
			t.Errorf("got %+v", report)
		}
		testkit.Check(t, os.Remove(filepath.Join(dir, "copy")))
	}
}

// TestUnreadable checks that a damaged segment and a file that is not regular fail the
// task.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	faces := w.fill(matcher.Faces, 200)
	fail := func(name string) {
		t.Helper()
		info := w.end(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{faces[0].ID})}))
		if info.State != task.Failed || !strings.Contains(info.Error, name) {
			t.Errorf("got %+v, want a failure that names %s", info, name)
		}
		testkit.Check(t, os.Remove(filepath.Join(dir, name)))
	}
	var segment string
	for path := range filesOf(t, dir) {
		if strings.HasSuffix(path, ".seg") {
			segment = path
		}
	}
	if segment == "" {
		t.Fatal("there is no segment")
	}
	text := testkit.Must(os.ReadFile(segment))
	text[2000] ^= 1
	plant(t, dir, "copy/damaged.seg", text)
	fail("copy/damaged.seg")
	testkit.Check(t, os.Symlink("/dev/null", filepath.Join(dir, "link")))
	fail("link")
	plant(t, dir, "copy/000007.sst", []byte("this is not a table"))
	fail("copy/000007.sst")
}

// folder is a folder of snapshots.
type folder string

func (f folder) Dir() string { return string(f) }

func (f folder) Has(name string) bool {
	_, err := os.Stat(filepath.Join(string(f), name, "FORMAT"))
	return err == nil
}

func (f folder) Delete(name string) error { return os.RemoveAll(filepath.Join(string(f), name)) }

// TestSnapshots erases a face that one of two snapshots has, first without and then with
// the deletion of snapshots. A third one has only its twin's descriptor.
func TestSnapshots(t *testing.T) {
	dir, old := t.TempDir(), t.TempDir()
	snapshots := filepath.Join(dir, "snapshots")
	w := newWorld(t, dir, func(o *erase.Options) { o.Snapshots = folder(snapshots) })
	face, other := w.object(matcher.Faces, bytesVersion), w.object(matcher.Faces, bytesVersion)
	w.put(face, other)
	for name, o := range map[string]*matcher.Object{"with": face, "without": other} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join(old, name)
			newWorld(t, from, nil).put(o)
			t.Cleanup(func() { copyTree(t, from, filepath.Join(snapshots, name)) })
		})
	}
	request := erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{face.ID})}
	report := w.wait(w.start(request))
	if len(report.Remains) != 1 || report.Remains[0].File != "snapshots/with" || report.Remains[0].In != "snapshot" {
		t.Errorf("got %+v", report)
	}
	request.Snapshots = true
	if report = w.wait(w.start(request)); len(report.Remains) != 0 || !slices.Equal(report.Snapshots, []string{"with"}) {
		t.Errorf("got %+v", report)
	}
	if _, err := os.Stat(filepath.Join(snapshots, "without")); err != nil {
		t.Error(err)
	}
}

// TestForeignSnapshots erases a face while the folder of snapshots has other entries: a file
// with its ID, a link to the snapshot of it, and a link to nothing.
func TestForeignSnapshots(t *testing.T) {
	dir, from := t.TempDir(), t.TempDir()
	snapshots := filepath.Join(dir, "snapshots")
	w := newWorld(t, dir, func(o *erase.Options) { o.Snapshots = folder(snapshots) })
	face := w.object(matcher.Faces, bytesVersion)
	w.put(face)
	t.Run("snapshot", func(t *testing.T) {
		newWorld(t, from, nil).put(face)
		t.Cleanup(func() { copyTree(t, from, filepath.Join(snapshots, "snapshot")) })
	})
	plant(t, snapshots, "export.ndjson", []byte(face.ID.String()))
	testkit.Check(t, os.Symlink("snapshot", filepath.Join(snapshots, "a")))
	testkit.Check(t, os.Symlink("nowhere", filepath.Join(snapshots, "b")))
	request := erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{face.ID})}
	found := func(places []erase.Remain) (all []string) {
		for _, r := range places {
			all = append(all, r.In+" "+r.File)
		}
		return all
	}
	want := []string{"file snapshots/a", "file snapshots/export.ndjson", "snapshot snapshots/snapshot"}
	if got := found(w.wait(w.start(request)).Remains); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	request.Snapshots = true
	report := w.wait(w.start(request))
	if got := found(report.Remains); !slices.Equal(got, []string{"file snapshots/export.ndjson"}) || !slices.Equal(report.Snapshots, []string{"snapshot"}) {
		t.Errorf("got %+v", report)
	}
}

// TestPaths erases from a data directory with another path than that of the audit: a link,
// and a relative path. An ID is given twice.
func TestPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	testkit.Check(t, os.Mkdir(dir, 0o700))
	testkit.Check(t, os.Symlink("data", filepath.Dir(dir)+"/link"))
	t.Chdir(filepath.Dir(dir))
	audit := filepath.Join(dir, "audit.ndjson")
	for _, data := range []string{"link", "data"} {
		t.Run(data, func(t *testing.T) {
			w := newWorld(t, data, func(o *erase.Options) { o.AuditFile = func() string { return audit } })
			face := w.object(matcher.Faces, bytesVersion)
			w.put(face)
			plant(t, dir, "audit.ndjson", []byte(face.ID.String()))
			report := w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs([]matcher.ID{face.ID, face.ID})}))
			if report.Objects != 1 || len(report.Remains) != 1 || report.Remains[0].In != "audit" {
				t.Errorf("got %+v", report)
			}
		})
	}
}
