package vm

import (
	"fmt"
	"strconv"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"nearside/lua/vm/syntax"
)

// The generator turns a syntax tree into the instructions of gopher-lua's
// interpreter. It stands in for gopher-lua's own compiler, which computes
// wrong values for ordinary sources: it writes a result into a local that the
// expression still reads, joins instructions across jump targets, and loses
// items of long tables. The order of evaluation, the use of registers and the
// line of each instruction are those of the reference compiler (lcode.c and
// lparser.c of Lua 5.1), so that side effects, -0 and errors agree with it.
//
// Some operators of the interpreter do not compute what Lua 5.1 computes. They
// become calls of our functions: `..` is bounded there, `#` ignores __len of
// tables, `-` passes its operand to __unm twice, and `%` and `^` round as they
// should. See operator.go.

// Limits of one function. Those of instructions follow from their encoding.
const (
	maxLocals    = 200
	maxRegisters = 250
	maxUpvalues  = 255
	maxConstants = 1<<18 - 1
	maxJump      = 1<<17 - 1
	maxRK        = 255 // index of a constant that is an operand
	rkConstant   = 256 // the bit that makes an operand a constant
)

// genError says why a source cannot be compiled.
type genError struct {
	line   int
	reason string
}

// generate returns the main function of a source. The error begins with
// "name:line:".
func generate(name string, main *syntax.Function) (proto *glua.FunctionProto, err error) {
	g := &generator{name: name, assigned: assignedNames(main)}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case genError:
			err = fmt.Errorf("%s:%d: %s", name, p.line, p.reason)
		default: // a fault of ours must not end the process
			err = fmt.Errorf("%s: internal error of the compiler: %v", name, p)
		}
	}()
	_, proto = g.function(nil, main)
	return proto, g.globals()
}

type generator struct {
	name     string
	assigned map[string]bool // names that the source assigns to after their declaration
	faults   []error
}

// assignedNames are the names that a source assigns to, other than by
// declaring them.
func assignedNames(main *syntax.Function) map[string]bool {
	names := map[string]bool{}
	syntax.Walk(main.Body, func(s syntax.Stmt) {
		if a, ok := s.(*syntax.Assign); ok {
			for _, target := range a.Targets {
				if n, ok := target.(*syntax.Name); ok {
					names[n.Name] = true
				}
			}
		}
	}, func(syntax.Expr) bool { return true })
	return names
}

// fn is a function that is being generated.
type fn struct {
	g      *generator
	parent *fn
	source *syntax.Function

	code  []uint32
	lines []int
	data  map[int]bool // words of code that are no instructions

	constants []glua.LValue
	index     map[glua.LValue]int // of constants
	names     int                 // constants before this one may be used as names
	used      []string            // the names, without some of those below others
	protos    []*glua.FunctionProto
	calls     []glua.DbgCall

	zeroChecks   []zeroCheck
	zeroConstant int // its index + 1, or 0

	vars     []variable // those in scope, from outer to inner blocks
	block    *block
	top      int // the first free register
	maxTop   int
	upvalues []upvalue
	line     int // of the last instruction, for errors
}

func (f *fn) fail(line int, format string, args ...any) {
	panic(genError{line, fmt.Sprintf(format, args...)})
}

// function generates source, which is below parent.
func (g *generator) function(parent *fn, source *syntax.Function) (*fn, *glua.FunctionProto) {
	faults := len(g.faults)
	f := g.body(parent, source, nil)
	if f.names > manyConstants {
		// Names that come so late take long to compile: see proto.
		g.faults = g.faults[:faults]
		f = g.body(parent, source, f.used)
	}
	return f, f.proto()
}

// manyConstants is how many constants there may be before a name.
const manyConstants = 512

// body generates source. The constants begin with names.
func (g *generator) body(parent *fn, source *syntax.Function, names []string) *fn {
	f := &fn{
		g: g, parent: parent, source: source, line: max(source.Line, 1),
		data: map[int]bool{}, index: map[glua.LValue]int{},
	}
	for _, name := range names {
		f.nameConstant(name)
	}
	f.enter(false)
	for _, p := range source.Params {
		f.declare(variable{name: p}, f.reserve(1))
	}
	if source.Vararg && parent != nil {
		f.declare(variable{name: "arg"}, f.reserve(1)) // as in Lua 5.1: nil where `...` is used
	}
	f.statements(source.Body)
	f.emit(source.End, glua.OP_RETURN, 0, 1, 0)
	f.noLabel(f.block.gotos)
	f.zeroCalls()
	f.threadJumps()
	f.joinMoves()
	return f
}

// emit adds an instruction with three operands and returns where it is.
func (f *fn) emit(line, op, a, b, c int) int {
	return f.word(line, uint32(op)<<26|uint32(a)<<18|uint32(c)<<9|uint32(b)) //nolint:gosec // operands are below 512
}

// emitBx adds an instruction with one long operand.
func (f *fn) emitBx(line, op, a, bx int) int {
	return f.word(line, uint32(op)<<26|uint32(a)<<18|uint32(bx)) //nolint:gosec // a constant's or function's index
}

func (f *fn) word(line int, w uint32) int {
	f.line = line
	f.code, f.lines = append(f.code, w), append(f.lines, line)
	return len(f.code) - 1
}

// jump adds a jump whose target is patched later.
func (f *fn) jump(line int) int { return f.emitBx(line, glua.OP_JMP, 0, maxJump) }

func (f *fn) here() int { return len(f.code) }

// patch lets the jump at pc lead to target.
func (f *fn) patch(pc, target int) {
	distance := target - (pc + 1)
	if distance > maxJump || distance < -maxJump {
		f.fail(f.lines[pc], "a control structure or expression is too long: it jumps over more than %d instructions", maxJump)
	}
	f.code[pc] = f.code[pc]&^uint32(1<<18-1) | uint32(distance+maxJump) //nolint:gosec // not negative
}

func (f *fn) patchHere(jumps []int) {
	for _, pc := range jumps {
		f.patch(pc, f.here())
	}
}

func opcode(w uint32) int { return int(w >> 26) }

// target is where the jump at pc leads.
func (f *fn) target(pc int) int { return pc + 1 + int(f.code[pc]&(1<<18-1)) - maxJump }

// threadJumps lets jumps to jumps lead to the last of them.
func (f *fn) threadJumps() {
	for pc, w := range f.code {
		if f.data[pc] || opcode(w) != glua.OP_JMP {
			continue
		}
		to := f.target(pc)
		for hops := 0; hops < 8 && to < len(f.code) && opcode(f.code[to]) == glua.OP_JMP; hops++ {
			to = f.target(to)
		}
		if d := to - (pc + 1); d <= maxJump && d >= -maxJump {
			f.patch(pc, to)
		}
	}
}

// joinMoves makes one instruction of moves in a row. A jump into the row
// still finds them: only the first one changes, and says how many follow.
func (f *fn) joinMoves() {
	for pc := 0; pc < len(f.code); pc++ {
		n := 0
		for n < 500 && pc+n < len(f.code) && !f.data[pc+n] && opcode(f.code[pc+n]) == glua.OP_MOVE {
			n++
		}
		if n > 1 {
			f.code[pc] = f.code[pc]&(1<<26-1) | uint32(glua.OP_MOVEN)<<26 | uint32(n-1)<<9 //nolint:gosec // below 512
			pc += n - 1
		}
	}
}

// constant returns the index of v. 0 and -0 are one constant, as in Lua 5.1.
func (f *fn) constant(v glua.LValue) int {
	i, ok := f.index[v]
	if !ok {
		i = len(f.constants)
		if i >= maxConstants {
			f.fail(f.line, "the function has more than %d constants", maxConstants)
		}
		f.constants = append(f.constants, v)
		f.index[v] = i
	}
	return i
}

// checkName refuses a long name of a global or a method: the interpreter's
// instructions for them are not charged for its length.
func (f *fn) checkName(name string, line int) {
	if len(name) > longText {
		f.fail(line, "a name is longer than %d bytes", longText)
	}
}

// nameConstant is constant for an instruction that wants a name.
func (f *fn) nameConstant(name string) int {
	i := f.constant(glua.LString(name))
	if i >= f.names {
		f.names = i + 1
		f.used = append(f.used, name)
	}
	return i
}

// proto is the finished function. gopher-lua keeps the names among the
// constants apart, where only its own compiler can put them: that compiles a
// function with the same constants.
func (f *fn) proto() *glua.FunctionProto {
	var body []ast.Stmt
	for i, v := range f.constants[:f.names] {
		var e ast.Expr = &ast.NumberExpr{Value: strconv.Itoa(i)} // not a name: it holds the place
		if s, ok := v.(glua.LString); ok {
			e = &ast.StringExpr{Value: string(s)}
		}
		local := &ast.LocalAssignStmt{Names: []string{"_"}, Exprs: []ast.Expr{e}}
		body = append(body, &ast.DoBlockStmt{Stmts: []ast.Stmt{local}})
	}
	p, err := glua.Compile(body, f.g.name)
	if err != nil {
		f.fail(f.source.Line, "%v", err)
	}
	p.LineDefined, p.LastLineDefined = f.source.Line, f.source.End
	p.NumUpvalues, p.NumParameters = uint8(len(f.upvalues)), uint8(len(f.source.Params)) //nolint:gosec // both are bounded
	p.NumUsedRegisters = uint8(f.maxTop + 1)                                             //nolint:gosec // at most maxRegisters + 4
	p.IsVarArg = 0
	if f.source.Vararg {
		p.IsVarArg = glua.VarArgHasArg | glua.VarArgIsVarArg
		if !f.source.UsesDots && f.parent != nil {
			p.IsVarArg |= glua.VarArgNeedsArg
		}
	}
	p.Code, p.Constants, p.FunctionPrototypes = f.code, f.constants, f.protos
	p.DbgSourcePositions, p.DbgCalls, p.DbgLocals = f.lines, f.calls, nil
	p.DbgUpvalues = nil
	for _, u := range f.upvalues {
		p.DbgUpvalues = append(p.DbgUpvalues, u.name)
	}
	return p
}
