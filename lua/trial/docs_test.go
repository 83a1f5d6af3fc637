package trial

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

var luaBlock = regexp.MustCompile("(?s)```lua\n(.*?)```")

// TestExamplesInDocs checks that the examples in docs/plugins.md compile and use only
// existing functions.
func TestExamplesInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := luaBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 8 {
		t.Fatalf("docs/plugins.md has %d examples in Lua, want at least 8", len(blocks))
	}
	for i, b := range blocks {
		root, lib, local := ns.Root, ns.Library, "ns"
		if strings.Contains(b[1], Root) {
			root, lib, local = Root, library(), "test"
		}
		source := "local M, count, pool = {}, 0, {} " + b[1]
		if !strings.Contains(b[1], "require(") {
			source = "local " + local + " = require('" + root + "') " + source
		}
		script, err := vm.Compile(fmt.Sprintf("example %d", i+1), source, root)
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
			continue
		}
		for _, use := range script.Uses {
			if !lib.Has(use.Path) {
				t.Errorf("%s: there is no %s.%s", script.Name, local, use.Path)
			}
		}
	}
}
