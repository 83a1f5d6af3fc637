package trial

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

var update = flag.Bool("update", false, "write lua/library/nearside.lua and nearside.test.lua")

// TestLibraryFile checks that the definitions for editors match the modules. With
// -update, it writes them.
func TestLibraryFile(t *testing.T) {
	for file, want := range map[string]string{
		"../library/nearside.lua": ns.LibraryFile(), "../library/nearside.test.lua": LibraryFile(),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s differs from the modules; write it again: go test ./lua/trial -run TestLibraryFile -update", file)
		}
		// Editors parse the file, so it must be valid Lua.
		if _, err := vm.Compile(file, want, ns.Root); err != nil {
			t.Error(err)
		}
	}
}

// TestModulesAreDocumented checks that each function has a description, and parameters in
// the form that editors understand.
func TestModulesAreDocumented(t *testing.T) {
	check := func(where string, f vm.Function) {
		if !strings.HasSuffix(f.Doc, ".") || f.Run == nil {
			t.Errorf("%s.%s: doc %q", where, f.Name, f.Doc)
		}
		for _, p := range f.Params {
			if !strings.Contains(p, ": ") {
				t.Errorf("%s.%s: parameter %q is not of the form name: type", where, f.Name, p)
			}
		}
	}
	for _, m := range append(slices.Clone(ns.Library.Modules), library().Modules...) {
		for _, f := range m.Functions {
			check(m.Name, f)
		}
		for _, c := range m.Classes {
			for _, f := range append(c.Methods, c.Operators...) {
				check(c.Name, f)
			}
		}
	}
}
