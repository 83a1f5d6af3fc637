// Package plugins holds the plugins that ship with nearside, and their tests:
// short, commented, examples of how plugins are written. A file of the same
// name in the folder of plugins takes the place of a shipped one.
package plugins

import "embed"

// Files are name.lua and name_test.lua of each plugin.
//
//go:embed *.lua
var Files embed.FS
