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
	Name  string
	Uses  []Use // of the root module, in the order of the source
	proto *glua.FunctionProto
}

// A Use is a place where a script reads a field of the root module.
type Use struct {
	Path string // "kv.get"
	Line int
}

// Compile compiles source; name is what errors call the file, root the name
// that scripts give to require for the library. Writing a global is refused
// here, whether or not the line would ever run. Errors begin with
// "name:line:".
func Compile(name, source, root string) (*Script, error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("%s: %d bytes of source are more than %d", name, len(source), MaxSource)
	}
	if strings.HasPrefix(source, "\x1b") {
		return nil, fmt.Errorf("%s: binary chunks are refused", name)
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
