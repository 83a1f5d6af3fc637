package server_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/internal/testkit"
)

// unpackDirectory unpacks a data directory from an archive.
func unpackDirectory(t *testing.T, archive string) string {
	t.Helper()
	f := testkit.Must(os.Open(archive))
	defer f.Close()
	files, dir := tar.NewReader(testkit.Must(gzip.NewReader(f))), t.TempDir()
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		check(t, err)
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			check(t, os.MkdirAll(path, 0o700))
			continue
		}
		check(t, os.WriteFile(path, testkit.Must(io.ReadAll(files)), 0o600))
	}
}

// TestOldDirectory checks that a data directory without an ID opens with all its
// data, gets an ID, and keeps it. A server from before commit 726a9e7 made the
// directory.
func TestOldDirectory(t *testing.T) {
	dir := unpackDirectory(t, "testdata/directory-without-id.tar.gz")
	if _, err := os.Stat(filepath.Join(dir, "ID")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the directory has an id already: ", err)
	}
	id := func(n string) string { return "00000000-0000-0000-0000-00000000000" + n }
	var first string
	for run := range 2 {
		t.Run("", func(t *testing.T) {
			x := start(t, func(s *settings) { s.dir = dir })
			x.call("GET", "/1/faces?external_ids=e2", "").status(200).part("count", "1").part("faces.0.face_id", `"`+id("2")+`"`).part("faces.0.lists", `["`+id("9")+`"]`)
			x.call("GET", "/1/lists/"+id("9"), "").status(200).part("face_count", "2").part("user_data", `"staff"`)
			if text := string(x.call("GET", "/1/events/"+id("3"), "").status(200).body); !strings.Contains(text, `"meta":{"a":9007199254740993}`) {
				t.Error(text)
			}
			x.call("POST", "/1/matcher/faces", matchBody(`{"type":"face","id":"`+id("1")+`"}`, `{"filters":{"origin":"faces"}}`)).status(201).
				part("0.matches.0.result.0.face.face_id", `"`+id("1")+`"`).part("0.matches.0.result.1.distance", "0.03125")
		})
		text := string(testkit.Must(os.ReadFile(filepath.Join(dir, "ID"))))
		if run == 0 {
			first = text
		}
		if text == "" || text != first {
			t.Errorf("the ID is %q, before it was %q", text, first)
		}
	}
}
