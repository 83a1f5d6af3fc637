package snapshot

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/store"
)

// files is a Source that writes some files.
type files map[string]string

func (s files) CopyTo(_ context.Context, dir string) (store.Copy, error) {
	for name, text := range s {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return store.Copy{}, err
		}
	}
	return store.Copy{Commits: 7, Records: 3}, nil
}

var content = files{"FORMAT": "nearside 1\n", "pebble/1.sst": strings.Repeat("row", 300_000), "pebble/2.log": "", "segments/a.seg": "segment"}

// world is a folder of snapshots next to a data directory.
type world struct {
	*testing.T
	dir, data string
	folder    *Folder
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	testkit.Check(t, os.Mkdir(data, 0o700))
	return &world{t, dir, data, NewFolder(filepath.Join(data, "snapshots"), filepath.Join(data, "SNAPSHOT"))}
}

func (w *world) create(name string, scheduled bool) *Manifest {
	w.Helper()
	m, err := w.folder.Create(w.Context(), content, Request{Name: name, Scheduled: scheduled, Version: "1.2.3", Progress: func(float64) {}})
	testkit.Check(w.T, err)
	return m
}

func (w *world) tar(name string) []byte {
	w.Helper()
	info, err := w.folder.Find(name)
	testkit.Check(w.T, err)
	var out bytes.Buffer
	testkit.Check(w.T, info.WriteTar(w.Context(), &out))
	return out.Bytes()
}

func (w *world) write(name string, text []byte) string {
	w.Helper()
	path := filepath.Join(w.dir, name)
	testkit.Check(w.T, os.WriteFile(path, text, 0o600))
	return path
}

// read returns all files in a folder.
func (w *world) read(dir string) files {
	w.Helper()
	all := files{}
	testkit.Check(w.T, eachFile(dir, func(path string, in *os.File) error {
		text, err := io.ReadAll(in)
		all[path] = string(text)
		return err
	}))
	return all
}

func (w *world) equal(dir string) {
	w.Helper()
	found := w.read(dir)
	for name, text := range content {
		if found[name] != text {
			w.Errorf("%s differs", name)
		}
	}
	if len(found) != len(content) {
		w.Errorf("%d files, want %d", len(found), len(content))
	}
}

// wantFaults checks that a snapshot has exactly these faults.
func (w *world) wantFaults(path string, want ...string) {
	w.Helper()
	_, err := Verify(w.Context(), path, nil)
	if err == nil {
		w.Fatal("no fault was found")
	}
	found := strings.Split(err.Error(), "\n")
	if len(found) != len(want) {
		w.Errorf("got %q, want %q", found, want)
		return
	}
	for i := range want {
		if !strings.Contains(found[i], want[i]) {
			w.Errorf("got %q, want %q", found[i], want[i])
		}
	}
	target := filepath.Join(w.TempDir(), "restored")
	if _, err := Restore(w.Context(), path, target, nil); err == nil || !strings.Contains(err.Error(), want[0]) {
		w.Errorf("restore: got %v", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		w.Errorf("a wrong snapshot was partly restored: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	made := w.create("first", false)
	w.create("second", true)
	all, err := w.folder.List()
	testkit.Check(t, err)
	if len(all) != 2 || all[0].Name != "first" || !all[1].Scheduled || all[0].Bytes != made.Bytes || all[0].Records != 3 || all[0].Commits != 7 {
		t.Errorf("got %+v", all)
	}
	if len(made.Files) != len(content) || made.Bytes != 900_000+11+7 {
		t.Errorf("got %+v", made)
	}
	for i, path := range []string{all[0].Dir, w.write("first.tar", w.tar("first"))} {
		last := 0.0
		m, err := Verify(t.Context(), path, func(part float64) { last = part })
		testkit.Check(t, err)
		if m.Name != "first" || last != 1 {
			t.Errorf("got %+v, progress %v", m, last)
		}
		target := filepath.Join(w.dir, "restored", string(rune('a'+i)))
		_, err = Restore(t.Context(), path, target, nil)
		testkit.Check(t, err)
		w.equal(target)
		_, err = Restore(t.Context(), path, target, nil)
		if err == nil || !strings.Contains(err.Error(), "must be empty") {
			t.Errorf("restore into a used folder: got %v", err)
		}
		w.equal(target)
	}
}

// TestRestoreAgain: a restore that did not finish is begun anew, and cannot be used before.
func TestRestoreAgain(t *testing.T) {
	w := newWorld(t)
	w.create("first", false)
	info, err := w.folder.Find("first")
	testkit.Check(t, err)
	target := filepath.Join(w.dir, "restored")
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Restore(ctx, info.Dir, target, func(part float64) {
		if part > 0.6 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if found, err := store.Inspect(target); err != nil || found.Fault == nil || !strings.Contains(found.Fault.Error(), "restore again") {
		t.Errorf("got %v %v", found.Fault, err)
	}
	testkit.Check(t, os.Mkdir(filepath.Join(target, "snapshots"), 0o700))
	_, err = Restore(t.Context(), info.Dir, target, nil)
	testkit.Check(t, err)
	w.equal(target)
}

func TestFaults(t *testing.T) {
	w := newWorld(t)
	w.create("a", false)
	info, err := w.folder.Find("a")
	testkit.Check(t, err)
	whole := w.tar("a")
	inside := func(name string) string { return filepath.Join(info.Dir, name) }
	restore := func() {
		w.Helper()
		testkit.Check(t, os.RemoveAll(info.Dir))
		w.create("a", false)
	}

	testkit.Check(t, os.WriteFile(inside("data/pebble/1.sst"), []byte(strings.Repeat("row", 299_999)+"ros"), 0o600))
	testkit.Check(t, os.WriteFile(inside("data/pebble/2.log"), []byte("x"), 0o600))
	testkit.Check(t, os.Remove(inside("data/FORMAT")))
	testkit.Check(t, os.WriteFile(inside("data/more"), nil, 0o600))
	w.wantFaults(info.Dir, "data/more is not in the manifest", "data/pebble/1.sst was changed", "data/pebble/2.log was changed: it has 1 bytes, and the manifest says 0", "data/FORMAT is missing")
	if err := info.WriteTar(t.Context(), io.Discard); err == nil {
		t.Error("a changed snapshot was sent")
	}
	restore()
	testkit.Check(t, os.Symlink("/etc/passwd", inside("data/link")))
	w.wantFaults(info.Dir, "data/link is not a regular file", "missing", "missing", "missing")
	restore()
	testkit.Check(t, os.Remove(inside(manifestName)))
	w.wantFaults(info.Dir, "not a complete snapshot")
	if all, err := w.folder.List(); err != nil || len(all) != 1 || all[0].Damage == nil {
		t.Errorf("got %+v, %v", all, err)
	}
	restore()

	m, err := readManifest(info.Dir)
	testkit.Check(t, err)
	change := func(change func(m *Manifest), want ...string) {
		w.Helper()
		changed := *m
		changed.Files = slices.Clone(m.Files)
		change(&changed)
		testkit.Check(t, errors.Join(os.Remove(inside(manifestName)), os.Remove(inside(sumName))))
		testkit.Check(t, changed.write(info.Dir))
		w.wantFaults(info.Dir, want...)
	}
	change(func(m *Manifest) { m.Format = 2 }, "the snapshot has format 2")
	change(func(m *Manifest) { m.DataFormat = 99 }, "use a newer nearside")
	change(func(m *Manifest) { m.Files[0].Path = "data/../../x" }, `files[0].path: must be a path in the folder data, got "data/../../x"`)
	change(func(m *Manifest) { m.Files[0].Path = "/etc/passwd" }, "files[0].path")
	change(func(m *Manifest) { m.Files[0].Path = "MANIFEST.json" }, "files[0].path")
	change(func(m *Manifest) { m.Files[1].Path = m.Files[0].Path }, "is given twice")
	change(func(m *Manifest) { m.Files[0].SHA256 = "00" }, "files[0].sha256")
	text, err := os.ReadFile(inside(manifestName))
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(inside(manifestName), append(text, ' '), 0o600))
	w.wantFaults(info.Dir, "does not have the sum")

	w.wantFaults(w.write("cut.tar", whole[:len(whole)/2]), "a/data/pebble/1.sst", "data/pebble/1.sst is missing", "2.log is missing", "a.seg is missing")
	w.wantFaults(w.write("text.tar", bytes.Repeat([]byte("no tar "), 1000)), "is not the tar file of a snapshot")
	w.wantFaults(w.write("empty.tar", nil), "is not the tar file of a snapshot")
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(whole, []byte("rowrow"))+1000] ^= 1
	w.wantFaults(w.write("flipped.tar", flipped), "data/pebble/1.sst was changed")
}

// TestCutTar cuts an archive at many places. Only what follows the last byte of the last file
// may be missing.
func TestCutTar(t *testing.T) {
	w := newWorld(t)
	w.create("a", false)
	whole := w.tar("a")
	last := len(whole) - 2*512 - (512 - len("segment"))
	for at, step := 0, 0; at < len(whole); at += step {
		if step = 511; at > 5000 && at < last-2000 {
			step = 50_021
		}
		if _, err := Verify(t.Context(), w.write("cut.tar", whole[:at]), nil); err == nil && at < last {
			t.Errorf("cut at %d of %d: no fault was found", at, len(whole))
		}
	}
	if _, err := Verify(t.Context(), w.write("cut.tar", whole[:last-1]), nil); err == nil {
		t.Error("without its last byte: no fault was found")
	}
}

// TestHostileTar: a tar file can write nothing outside the data directory.
func TestHostileTar(t *testing.T) {
	w := newWorld(t)
	w.create("a", false)
	whole := w.tar("a")
	add := func(h tar.Header) {
		w.Helper()
		var out bytes.Buffer
		from, to := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(&out)
		for i := 0; ; i++ {
			entry, err := from.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			testkit.Check(t, err)
			testkit.Check(t, to.WriteHeader(entry))
			_, err = io.Copy(to, from)
			testkit.Check(t, err)
			if i == 1 {
				testkit.Check(t, to.WriteHeader(&h))
			}
		}
		testkit.Check(t, to.Close())
		path := w.write("hostile.tar", out.Bytes())
		if _, err := Restore(t.Context(), path, filepath.Join(w.dir, "restored"), nil); err == nil {
			t.Errorf("%q was accepted", h.Name)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "restored")); err == nil {
			t.Errorf("%q: something was written", h.Name)
		}
	}
	for _, name := range []string{"../x", "a/../../x", "/x", "b/data/x", "x", "a/data/x"} {
		add(tar.Header{Typeflag: tar.TypeReg, Name: name})
	}
	add(tar.Header{Typeflag: tar.TypeSymlink, Name: "a/data/x", Linkname: "/etc"})
	add(tar.Header{Typeflag: tar.TypeLink, Name: "a/data/x", Linkname: "a/data/FORMAT"})
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	check := func(name string, want matcher.Code) {
		w.Helper()
		_, err := w.folder.Create(t.Context(), content, Request{Name: name, Progress: func(float64) {}})
		if want == 0 && err != nil || want != 0 && matcher.CodeOf(err) != want {
			t.Errorf("%q: got %v, want code %d", name, err, want)
		}
		if want != 0 && want != matcher.CodeTaskExists {
			if err := w.folder.Delete(name); matcher.CodeOf(err) != matcher.CodeTaskNotFound {
				t.Errorf("%q: delete: got %v", name, err)
			}
		}
	}
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../a", `a\b`, "a b", "ä", "a\x00", "-a", strings.Repeat("a", 65)} {
		check(name, matcher.CodeBadInput)
	}
	for _, name := range []string{"a", "7", "Before-upgrade_1.2", strings.Repeat("a", 64)} {
		check(name, 0)
		check(name, matcher.CodeTaskExists)
	}
	testkit.Check(t, w.folder.Delete("a"))
	if err := w.folder.Delete("a"); matcher.CodeOf(err) != matcher.CodeTaskNotFound {
		t.Error(err)
	}
	check("a", 0)
	testkit.Check(t, os.Mkdir(filepath.Join(w.folder.dir, "photos"), 0o700)) // not a snapshot
	check("photos", matcher.CodeTaskExists)
	if err := w.folder.Delete("photos"); matcher.CodeOf(err) != matcher.CodeTaskNotFound {
		t.Error(err)
	}
}

// failing is a Source that fails after it has written something.
type failing struct{ err error }

func (f failing) CopyTo(ctx context.Context, dir string) (store.Copy, error) {
	_, err := content.CopyTo(ctx, dir)
	return store.Copy{}, errors.Join(err, f.err)
}

// TestCreateFails: after an error, nothing is left.
func TestCreateFails(t *testing.T) {
	w := newWorld(t)
	for err, want := range map[error]matcher.Code{
		syscall.EIO: matcher.CodeInternal, syscall.ENOSPC: matcher.CodeFull, matcher.Errorf(matcher.CodeFull, "full"): matcher.CodeFull,
	} {
		_, got := w.folder.Create(t.Context(), failing{err}, Request{Name: "a", Progress: func(float64) {}})
		if got == nil || matcher.CodeOf(errors.Unwrap(got)) != want && matcher.CodeOf(got) != want {
			t.Errorf("got %v, want code %d", got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.folder.Create(ctx, content, Request{Name: "a", Progress: func(float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, err := os.ReadDir(w.data); err != nil || len(entries) != 0 {
		t.Errorf("left: %v %v", entries, err)
	}
}

// TestOtherFileSystem keeps snapshots on another file system than the data directory.
func TestOtherFileSystem(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "nearside-test-")
	if err != nil {
		t.Skip("NOT TESTED: there is no second file system:", err)
	}
	t.Cleanup(func() { testkit.Check(t, os.RemoveAll(other)) })
	w := newWorld(t)
	w.folder = NewFolder(filepath.Join(other, "snapshots"), filepath.Join(w.data, "SNAPSHOT"))
	w.create("a", false)
	if w.folder.canRename() {
		t.Skip("NOT TESTED: both folders are on one file system")
	}
	info, err := w.folder.Find("a")
	testkit.Check(t, err)
	w.equal(filepath.Join(info.Dir, "data"))
	if _, err := Verify(t.Context(), info.Dir, nil); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{w.data, w.folder.dir} {
		entries, err := os.ReadDir(dir)
		testkit.Check(t, err)
		for _, e := range entries {
			if e.Name() != "a" {
				t.Errorf("%s has %s", dir, e.Name())
			}
		}
	}
}

func TestClean(t *testing.T) {
	w := newWorld(t)
	w.create("a", false)
	testkit.Check(t, os.MkdirAll(filepath.Join(w.data, "SNAPSHOT", "data"), 0o700))
	for _, name := range []string{".b.new", ".b.old", ".mine", "other.new"} {
		testkit.Check(t, os.MkdirAll(filepath.Join(w.folder.dir, name, "data"), 0o700))
	}
	testkit.Check(t, w.folder.Clean())
	entries, err := os.ReadDir(w.folder.dir)
	testkit.Check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{".mine", "a", "other.new"}) {
		t.Errorf("got %q", names)
	}
	if _, err := os.Stat(w.folder.staging); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	testkit.Check(t, NewFolder(filepath.Join(w.dir, "none"), filepath.Join(w.dir, "none")).Clean())
}

// TestPrune: only scheduled snapshots are deleted, the oldest first.
func TestPrune(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"s4", "s3", "by-hand", "s2", "s1"} {
		w.create(name, name != "by-hand")
	}
	deleted, err := w.folder.Prune(2)
	testkit.Check(t, err)
	all, err := w.folder.List()
	testkit.Check(t, err)
	if !slices.Equal(deleted, []string{"s4", "s3"}) || len(all) != 3 || all[0].Name != "by-hand" {
		t.Errorf("deleted %q, left %+v", deleted, all)
	}
}
