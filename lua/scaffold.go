package lua

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed template
var templates embed.FS

// LibraryFolder is where Scaffold puts the definitions for editors.
const LibraryFolder = "library"

// luarc tells the Lua language server of the definitions.
const luarc = `{
  "runtime.version": "Lua 5.1",
  "workspace.library": ["` + LibraryFolder + `"]
}
`

// Scaffold returns the files of a new plugin, by their names in the folder of
// plugins: a commented plugin, its test, and what editors need.
func Scaffold(name string, kind Kind) (map[string]string, error) {
	if err := checkPluginName(name); err != nil {
		return nil, err
	}
	files := map[string]string{
		".luarc.json":                        luarc,
		LibraryFolder + "/nearside.lua":      LibraryFile(),
		LibraryFolder + "/nearside.test.lua": TrialLibraryFile(),
	}
	for from, to := range map[string]string{string(kind) + ".lua": name + ".lua", string(kind) + "_test.lua": name + "_test.lua"} {
		text, err := templates.ReadFile("template/" + from)
		if err != nil {
			return nil, fmt.Errorf("kind %q is not one of %s, %s, %s", kind, Event, Background, Matching)
		}
		files[to] = strings.ReplaceAll(string(text), "NAME", name)
	}
	return files, nil
}
