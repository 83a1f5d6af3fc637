package vm

import (
	"errors"
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
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
// here, whether or not the line would ever run.
func Compile(name, source, root string) (*Script, error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("%s: %d bytes of source are more than %d", name, len(source), MaxSource)
	}
	if strings.HasPrefix(source, "\x1b") {
		return nil, fmt.Errorf("%s: binary chunks are refused", name)
	}
	chunk, err := parse.Parse(strings.NewReader(source), name)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	r := rewriter{root: root, roots: map[string]bool{}}
	r.block(chunk)
	proto, err := compile(chunk, name)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	if err := errors.Join(globalWrites(proto), meterConstants(proto)); err != nil {
		return nil, err
	}
	return &Script{Name: name, Uses: r.uses, proto: proto}, nil
}

// compile turns a panic of the compiler into an error: it has some left for
// sources that are too complex.
func compile(chunk []ast.Stmt, name string) (proto *glua.FunctionProto, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot be compiled: %v", p)
		}
	}()
	return glua.Compile(chunk, name)
}

// syntaxError is err in the form of run-time errors: "file:line: reason".
func syntaxError(name string, err error) error {
	if e, ok := errors.AsType[*parse.Error](err); ok {
		if e.Pos.Line == parse.EOF {
			return fmt.Errorf("%s: unexpected end of file: %s", name, strings.TrimSpace(e.Message))
		}
		return fmt.Errorf("%s:%d: near '%s': %s", name, e.Pos.Line, e.Token, strings.TrimSpace(e.Message))
	}
	if e, ok := errors.AsType[*glua.CompileError](err); ok {
		return fmt.Errorf("%s:%d: %s", name, e.Line, e.Message)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// globalWrites refuses instructions that write a global. The compiler has
// resolved every name, so nothing is missed and nothing suspected.
func globalWrites(p *glua.FunctionProto) error {
	var faults []error
	for i, inst := range p.Code {
		if int(inst>>26) != glua.OP_SETGLOBAL {
			continue
		}
		name := p.Constants[inst&0x3ffff].String()
		faults = append(faults, fmt.Errorf("%s:%d: write to the undeclared global %q: declare it with local", p.SourceName, p.DbgSourcePositions[i], name))
	}
	for _, child := range p.FunctionPrototypes {
		if err := globalWrites(child); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
