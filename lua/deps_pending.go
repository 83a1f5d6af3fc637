package lua

// Dependencies of modules that are being written. This file goes away with
// the last of them.
import (
	_ "github.com/fsnotify/fsnotify"
)
