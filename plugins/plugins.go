// Package plugins contains the plugins that ship with nearside, with their tests. They
// are short examples of how to write plugins. A file with the same name in the folder
// of plugins replaces a shipped plugin.
package plugins

import "embed"

// Files has name.lua and name_test.lua of each plugin, or a folder with the files of the
// plugin.
//
//go:embed *.lua qdrant/*.lua
var Files embed.FS
