package trial

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"

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

// allKinds are the kinds of plugins.
var allKinds = []lua.Kind{lua.Event, lua.Background, lua.Matching}

// Scaffold returns the files of a new plugin, by their names in the folder of plugins:
// a plugin with comments, its test, and the definitions for editors.
func Scaffold(name string, kinds ...lua.Kind) (map[string]string, error) {
	if err := lua.CheckPluginName(name); err != nil {
		return nil, err
	}
	if len(kinds) == 0 {
		return nil, errors.New("the kind is missing")
	}
	for i, kind := range kinds {
		if !slices.Contains(allKinds, kind) {
			return nil, fmt.Errorf("kind %q is not one of %s, %s, %s", kind, lua.Event, lua.Background, lua.Matching)
		}
		if slices.Contains(kinds[:i], kind) {
			return nil, fmt.Errorf("kind %q is given twice", kind)
		}
	}
	files := map[string]string{
		".luarc.json":                        luarc,
		LibraryFolder + "/nearside.lua":      ns.LibraryFile(),
		LibraryFolder + "/nearside.test.lua": LibraryFile(),
	}
	for _, end := range []string{".lua", "_test.lua"} {
		text, err := fillTemplate(name, kinds, end)
		if err != nil {
			return nil, err
		}
		files[name+end] = text
	}
	return files, nil
}

// fillTemplate returns the plugin, or its test, for these kinds. end is the end of the file
// name.
func fillTemplate(name string, kinds []lua.Kind, end string) (string, error) {
	if len(kinds) == 1 {
		text, err := templates.ReadFile("template/" + string(kinds[0]) + end)
		return strings.ReplaceAll(string(text), "NAME", name), err
	}
	t, err := template.ParseFS(templates, "template/several"+end+".tmpl")
	if err != nil {
		return "", err
	}
	values := map[string]any{"name": name}
	quoted := make([]string, len(kinds))
	for i, kind := range kinds {
		values[string(kind)], quoted[i] = true, strconv.Quote(string(kind))
	}
	values["kinds"] = strings.Join(quoted, ", ")
	var b strings.Builder
	err = t.Execute(&b, values)
	return b.String(), err
}
