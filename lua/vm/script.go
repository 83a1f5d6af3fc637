package vm

import (
	"errors"
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// A Script is a compiled source file. It is immutable and shared by states.
type Script struct {
	Name  string // the name of the file in errors
	Uses  []Use  // reads of the root module, in the order of the source
	proto *glua.FunctionProto
}

// A Use is a place where a script reads a field of the root module.
type Use struct {
	Path string // such as "kv.get"
	Line int
}

// Compile compiles source. name is the name of the file in errors. root is the name
// by which the script requires the root module of the library. Compile refuses a
// source that writes a global, even if that line never runs. Errors in the source
// begin with "name:line:". The errors for a source that is too long or binary, and
// for a fault of the compiler, begin with "name:".
func Compile(name, source, root string) (*Script, error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("%s: the source has %d bytes, the maximum is %d", name, len(source), MaxSource)
	}
	if strings.HasPrefix(source, "\x1b") {
		return nil, fmt.Errorf("%s: the file is a binary chunk: only Lua source is accepted", name)
	}
	main, err := syntax.Parse(source)
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return nil, fmt.Errorf("%s:%w", name, e)
	}
	proto, err := generate(name, main)
	if err != nil {
		return nil, err
	}
	return &Script{Name: name, Uses: usesOf(main, root), proto: proto}, nil
}
