package store

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// tableAndLogBytes returns the disk space of Pebble's tables and of its logs.
func tableAndLogBytes(t *testing.T, dir string) (tables, logs int64) {
	t.Helper()
	for pattern, sum := range map[string]*int64{"*.sst": &tables, "*.log": &logs} {
		names, err := filepath.Glob(filepath.Join(dir, nameDatabase, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			n, err := diskBytes(name)
			if err != nil {
				t.Fatal(err)
			}
			*sum += n
		}
	}
	return tables, logs
}

// TestReclaim checks that the disk space of deleted objects is freed while the store is
// open: the reclaimer rewrites tables, and old logs are deleted, not recycled.
func TestReclaim(t *testing.T) {
	const objects, size = 2000, 4 << 10
	dir := t.TempDir()
	o := Options{Dir: dir, Applier: newModel(), tableBytes: 1 << 20, reclaimAfter: 1 << 20}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ids := make([]matcher.ID, objects)
	kept := &matcher.Object{ID: matcher.NewID(), UserData: "kept"}
	kept.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: []byte{1}}
	if err := s.CreateObject(t.Context(), nil, kept); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		var all []*matcher.Object
		for i := range ids {
			obj := &matcher.Object{ID: matcher.NewID(), UserData: strings.Repeat("x", size)}
			obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: []byte{byte(i)}}
			ids[i] = obj.ID
			all = append(all, obj)
		}
		if _, err := s.CreateObjects(t.Context(), nil, all); err != nil {
			t.Fatal(err)
		}
		n, err := s.DeleteObjects(t.Context(), matcher.Faces, func() ([]matcher.ID, error) { return ids, nil })
		if err != nil || n != objects {
			t.Fatal(round, n, err)
		}
		awaitTables(t, dir, objects*size/8)
	}
	if _, logs := tableAndLogBytes(t, dir); logs > 3*s.unit {
		t.Errorf("logs use %d bytes, want at most three memtables of %d", logs, s.unit)
	}
}

// awaitTables waits until the tables in dir use at most limit bytes.
func awaitTables(t *testing.T, dir string, limit int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		tables, _ := tableAndLogBytes(t, dir)
		if tables <= limit {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("tables still use %d bytes, want at most %d", tables, limit)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
