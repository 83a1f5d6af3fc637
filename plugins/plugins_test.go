package plugins

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// TestShippedPlugins: each plugin is short (one that is a folder may be longer), begins with
// a description, has a test and is listed in the README. Package lua/trial runs the tests.
func TestShippedPlugins(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(Files, "*.lua")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := fs.Glob(Files, "*/init.lua")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, folders...)
	found := 0
	for _, file := range files {
		name := strings.TrimSuffix(file, ".lua")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		test := name + "_test.lua"
		folder := path.Dir(file)
		if folder != "." {
			name, test = folder, path.Join(folder, folder+"_test.lua")
		}
		found++
		text, err := fs.ReadFile(Files, file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > 80 && folder == "." {
			t.Errorf("%s has %d lines, want at most 80", file, n)
		}
		if !strings.HasPrefix(string(text), "-- "+name+": ") {
			t.Errorf("%s must begin with %q and a description", file, "-- "+name+": ")
		}
		if _, err := fs.Stat(Files, test); err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not list `%s`", name)
		}
	}
	if found == 0 {
		t.Error("there are no plugins")
	}
}
