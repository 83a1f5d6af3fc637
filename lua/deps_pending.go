package lua

import (
	// Requirements of modules that are being written. This file goes away
	// with the last of them.
	_ "github.com/fsnotify/fsnotify"
)
