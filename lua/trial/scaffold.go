package trial

import (
	"embed"
	"fmt"
	"strings"

	"nearside/lua"
	"nearside/lua/ns"
)

//go:embed template
var templates embed.FS

// LibraryFolder is the folder in which Scaffold puts the definitions for editors.
const LibraryFolder = "library"

// luarc configures the Lua language server to use the definitions.
const luarc = `{
  "runtime.version": "Lua 5.1",
  "workspace.library": ["` + LibraryFolder + `"]
}
`

// Scaffold returns the files of a new plugin, by their names in the folder of plugins:
// a plugin with comments, its test, and the definitions for editors.
func Scaffold(name string, kind lua.Kind) (map[string]string, error) {
	if err := lua.CheckPluginName(name); err != nil {
		return nil, err
	}
	files := map[string]string{
		".luarc.json":                        luarc,
		LibraryFolder + "/nearside.lua":      ns.LibraryFile(),
		LibraryFolder + "/nearside.test.lua": LibraryFile(),
	}
	for from, to := range map[string]string{string(kind) + ".lua": name + ".lua", string(kind) + "_test.lua": name + "_test.lua"} {
		text, err := templates.ReadFile("template/" + from)
		if err != nil {
			return nil, fmt.Errorf("kind %q is not one of %s, %s, %s", kind, lua.Event, lua.Background, lua.Matching)
		}
		files[to] = strings.ReplaceAll(string(text), "NAME", name)
	}
	return files, nil
}
