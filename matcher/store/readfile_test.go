package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"nearside/internal/testkit"
)

// TestReadRecords reads the log, and then the compressed table, of a database that is in
// use. Both have every record, also those that were replaced or deleted.
func TestReadRecords(t *testing.T) {
	dir := t.TempDir()
	o := &pebble.Options{FormatMajorVersion: pebble.FormatNewest, DisableAutomaticCompactions: true}
	for i := range o.Levels {
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	db := testkit.Must(pebble.Open(dir, o))
	defer func() { testkit.Check(t, db.Close()) }()
	snapshot := db.NewSnapshot() // keeps the replaced records in the table
	defer func() { testkit.Check(t, snapshot.Close()) }()
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]bool{}
	put := func(name, value string) {
		testkit.Check(t, db.Set([]byte(name), []byte(value), pebble.Sync))
		want[name+"="+value] = true
	}
	for i := range 300 {
		value := make([]byte, 1+rng.IntN(5000)) // many cross the blocks of the log
		for j := range value {
			value[j] = byte('a' + rng.IntN(3))
		}
		put(fmt.Sprintf("f%06d", i), string(value))
	}
	between := db.NewSnapshot()
	defer func() { testkit.Check(t, between.Close()) }()
	put("f000007", "replaced")
	testkit.Check(t, db.Delete([]byte("f000008"), pebble.Sync))
	want["f000008="] = true

	check := func(pattern string) {
		t.Helper()
		got := map[string]bool{}
		for _, path := range testkit.Must(filepath.Glob(filepath.Join(dir, pattern))) {
			file := testkit.Must(os.Open(path))
			testkit.Check(t, ReadRecords(t.Context(), file, func(key, value []byte) error {
				got[string(key)+"="+string(value)] = true
				return nil
			}))
			testkit.Check(t, file.Close())
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %d records, want %d", pattern, len(got), len(want))
		}
	}
	check("*.log")
	testkit.Check(t, db.Flush())
	check("*.sst")
}

// TestReadDamaged changes a byte of a table.
func TestReadDamaged(t *testing.T) {
	dir := t.TempDir()
	db := testkit.Must(pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest}))
	for i := range 2000 {
		testkit.Check(t, db.Set(fmt.Appendf(nil, "f%06d", i), make([]byte, 100), pebble.NoSync))
	}
	testkit.Check(t, db.Flush())
	testkit.Check(t, db.Close())
	tables := testkit.Must(filepath.Glob(filepath.Join(dir, "*.sst")))
	if len(tables) != 1 {
		t.Fatal(slices.Sorted(slices.Values(tables)))
	}
	text := testkit.Must(os.ReadFile(tables[0]))
	text[len(text)/2] ^= 1
	testkit.Check(t, os.WriteFile(tables[0], text, 0o600))
	file := testkit.Must(os.Open(tables[0]))
	defer file.Close()
	if err := ReadRecords(t.Context(), file, func(_, _ []byte) error { return nil }); err == nil {
		t.Error("a damaged table was read")
	}
}
