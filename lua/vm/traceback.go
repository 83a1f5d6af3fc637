package vm

import (
	"errors"
	"regexp"
	"strings"
)

// maxTraceLines is the maximum number of lines of a LuaTrace.
const maxTraceLines = 20

// luaFrame matches a line of a traceback that is in a file.
var luaFrame = regexp.MustCompile(`^\s*(.+:\d+: in .*)$`)

// LuaTrace returns the Lua lines that led to an error, the innermost first, such as
// "p.lua:3: in function 'f'". It has at most 20 lines. It is empty if err is not a Lua error.
func LuaTrace(err error) []string {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.panicked {
		return nil
	}
	var lines []string
	for line := range strings.Lines(e.Traceback) {
		if frame := luaFrame.FindStringSubmatch(strings.TrimSuffix(line, "\n")); frame != nil && len(lines) < maxTraceLines {
			lines = append(lines, frame[1])
		}
	}
	return lines
}
