package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/matcher"
)

// openOnce opens dir, stores one object and closes it. It returns the ID of the
// directory.
func openOnce(t *testing.T, dir string) matcher.ID {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Applier: newModel()})
	if err != nil {
		t.Fatal(err)
	}
	o := &matcher.Object{ID: matcher.NewID()}
	o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: []byte{1}}
	if err := s.CreateObject(t.Context(), nil, o); err != nil {
		t.Fatal(err)
	}
	id := s.instance
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestIdentity checks that a data directory keeps its ID, that a directory without ID
// gets one, and that Open refuses and names files of another directory.
func TestIdentity(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	idA, idB := openOnce(t, a), openOnce(t, b)
	if idA.IsZero() || idA == idB {
		t.Fatal(idA, idB)
	}
	if again := openOnce(t, a); again != idA {
		t.Fatalf("the ID changed from %s to %s", idA, again)
	}

	// COMMITTED as an earlier version wrote it, and as a power loss may leave it.
	committed := filepath.Join(a, nameCommitted)
	whole, err := os.ReadFile(committed)
	if err != nil || !strings.HasSuffix(string(whole), idText(idA)) {
		t.Fatalf("%q, %v", whole, err)
	}
	for _, cut := range []int{len(committedText(0)), len(committedText(0)) + 5} {
		if err := os.Remove(filepath.Join(a, nameID)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(committed, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if again := openOnce(t, a); again != idA {
			t.Fatalf("the ID changed from %s to %s", idA, again)
		}
		if text, err := os.ReadFile(committed); err != nil || !strings.HasSuffix(string(text), idText(idA)) {
			t.Fatalf("%q, %v", text, err)
		}
	}

	for _, name := range []string{nameID, nameCommitted, nameDatabase} {
		mixed := t.TempDir()
		if err := os.CopyFS(mixed, os.DirFS(a)); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(mixed, name)); err != nil {
			t.Fatal(err)
		}
		if name == nameDatabase {
			err = os.CopyFS(filepath.Join(mixed, name), os.DirFS(filepath.Join(b, name)))
		} else {
			var text []byte
			if text, err = os.ReadFile(filepath.Join(b, name)); err == nil {
				err = os.WriteFile(filepath.Join(mixed, name), text, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{Dir: mixed, Applier: newModel()})
		if err == nil {
			t.Errorf("Open accepts %s of another directory; Close: %v", name, s.Close())
			continue
		}
		for _, part := range []string{idA.String(), idB.String(), mixed, "nothing was changed"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not contain %s", name, err, part)
			}
		}
	}
}
