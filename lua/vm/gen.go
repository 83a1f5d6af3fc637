package vm

import (
	"fmt"
	"strconv"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"nearside/lua/vm/syntax"
)

// The generator turns a syntax tree into the instructions of gopher-lua's
// interpreter. It replaces gopher-lua's compiler, which generates wrong code for
// ordinary sources: it writes a result into a local that the expression still
// reads, joins instructions across jump targets, and loses items of long tables.
// The order of evaluation, the use of registers and the line of each instruction
// are those of the reference compiler (lcode.c and lparser.c of Lua 5.1), so that
// side effects, -0 and errors are the same.
//
// Some operators of the interpreter do not compute what Lua 5.1 computes. The
// generator calls a function of this package for them: `..` bounds its result,
// `#` ignores __len of tables, `-` passes its operand to __unm twice, and `%` and
// `^` round correctly. See operator.go.

// Limits of one function. maxConstants, maxJump and maxRK follow from the encoding
// of instructions.
const (
	maxLocals    = 200
	maxRegisters = 250
	maxUpvalues  = 255
	maxConstants = 1<<18 - 1
	maxJump      = 1<<17 - 1
	maxRK        = 255 // largest index of a constant that can be an operand
	rkConstant   = 256 // bit that marks an operand as a constant
)

// A genError is the reason why a source cannot be compiled. The generator panics
// with it.
type genError struct {
	line   int
	reason string
}

// generate returns the main function of a source. An error in the source begins with
// "name:line:", and a fault of the generator with "name:".
func generate(name string, main *syntax.Function) (proto *glua.FunctionProto, err error) {
	g := &generator{name: name, assigned: assignedNames(main)}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case genError:
			err = fmt.Errorf("%s:%d: %s", name, p.line, p.reason)
		default: // a fault of the generator must not end the process
			err = fmt.Errorf("%s: internal error of the compiler: %v", name, p)
		}
	}()
	_, proto = g.generateFunction(nil, main)
	return proto, g.globalWriteError()
}

// A generator compiles one source.
type generator struct {
	name         string
	assigned     map[string]bool // names that the source assigns to after their declaration
	globalWrites []error
}

// assignedNames returns the names that a source assigns to after their
// declaration.
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

	code      []uint32
	lines     []int        // line of each word of code
	dataWords map[int]bool // indexes of the words of code that are not instructions

	constants     []glua.LValue
	constantIndex map[glua.LValue]int // index of each constant
	namesEnd      int                 // all constants that are names have an index below this
	usedNames     []string            // names in the order of first use; a name that was a string constant before may be missing
	protos        []*glua.FunctionProto
	calls         []glua.DbgCall

	zeroChecks   []zeroCheck
	zeroConstant int // index of the constant for zero checks + 1; 0 if there is none

	vars     []variable // variables in scope, from outer to inner blocks
	block    *block
	top      int // the first free register
	maxTop   int // highest value of top
	upvalues []upvalue
	line     int // line of the last instruction, for errors
}

// fail panics with a genError.
func (f *fn) fail(line int, format string, args ...any) {
	panic(genError{line, fmt.Sprintf(format, args...)})
}

// generateFunction generates source, a function inside parent.
func (g *generator) generateFunction(parent *fn, source *syntax.Function) (*fn, *glua.FunctionProto) {
	writes := len(g.globalWrites)
	f := g.generateBody(parent, source, nil)
	if f.namesEnd > manyConstants {
		// A name with a high index takes long to compile; see proto.
		g.globalWrites = g.globalWrites[:writes]
		f = g.generateBody(parent, source, f.usedNames)
	}
	return f, f.proto()
}

// manyConstants limits the index of names among the constants. If a name reaches
// it, the function is generated again with its names as the first constants.
const manyConstants = 512

// generateBody generates source. The first constants are names.
func (g *generator) generateBody(parent *fn, source *syntax.Function, names []string) *fn {
	f := &fn{
		g: g, parent: parent, source: source, line: max(source.Line, 1),
		dataWords: map[int]bool{}, constantIndex: map[glua.LValue]int{},
	}
	for _, name := range names {
		f.nameConstant(name)
	}
	f.enterBlock(false)
	for _, p := range source.Params {
		f.declare(variable{name: p}, f.reserveRegisters(1))
	}
	if source.Vararg && parent != nil {
		f.declare(variable{name: "arg"}, f.reserveRegisters(1)) // as in Lua 5.1; it is nil if the body uses `...`
	}
	f.statements(source.Body)
	f.emit(source.End, glua.OP_RETURN, 0, 1, 0)
	f.checkPendingGotos(f.block.gotos)
	f.emitZeroCalls()
	f.threadJumps()
	f.joinMoves()
	return f
}

// emit adds an instruction with three operands and returns its index.
func (f *fn) emit(line, op, a, b, c int) int {
	return f.emitWord(line, uint32(op)<<26|uint32(a)<<18|uint32(c)<<9|uint32(b)) //nolint:gosec // operands are below 512
}

// emitBx adds an instruction with one long operand and returns its index.
func (f *fn) emitBx(line, op, a, bx int) int {
	return f.emitWord(line, uint32(op)<<26|uint32(a)<<18|uint32(bx)) //nolint:gosec // a constant's or function's index
}

// emitWord adds an instruction or a data word and returns its index.
func (f *fn) emitWord(line int, w uint32) int {
	f.line = line
	f.code, f.lines = append(f.code, w), append(f.lines, line)
	return len(f.code) - 1
}

// jump adds a jump and returns its index. patchJump sets its target later.
func (f *fn) jump(line int) int { return f.emitBx(line, glua.OP_JMP, 0, maxJump) }

// here returns the index of the next instruction.
func (f *fn) here() int { return len(f.code) }

// patchJump sets the target of the jump at pc.
func (f *fn) patchJump(pc, target int) {
	distance := target - (pc + 1)
	if distance > maxJump || distance < -maxJump {
		f.fail(f.lines[pc], "a control structure or expression is too long: it jumps over more than %d instructions", maxJump)
	}
	f.code[pc] = f.code[pc]&^uint32(1<<18-1) | uint32(distance+maxJump) //nolint:gosec // not negative
}

// patchJumpsHere sets the target of jumps to the next instruction.
func (f *fn) patchJumpsHere(jumps []int) {
	for _, pc := range jumps {
		f.patchJump(pc, f.here())
	}
}

func opcode(w uint32) int { return int(w >> 26) }

// jumpTarget returns the target of the jump at pc.
func (f *fn) jumpTarget(pc int) int { return pc + 1 + int(f.code[pc]&(1<<18-1)) - maxJump }

// threadJumps changes each jump that leads to another jump so that it leads to
// the final target.
func (f *fn) threadJumps() {
	for pc, w := range f.code {
		if f.dataWords[pc] || opcode(w) != glua.OP_JMP {
			continue
		}
		to := f.jumpTarget(pc)
		for hops := 0; hops < 8 && to < len(f.code) && opcode(f.code[to]) == glua.OP_JMP; hops++ {
			to = f.jumpTarget(to)
		}
		if d := to - (pc + 1); d <= maxJump && d >= -maxJump {
			f.patchJump(pc, to)
		}
	}
}

// joinMoves combines consecutive MOVE instructions into one MOVEN. Only the first
// instruction changes: it holds the number of the following moves. So a jump to
// one of the following moves still works.
func (f *fn) joinMoves() {
	for pc := 0; pc < len(f.code); pc++ {
		n := 0
		for n < 500 && pc+n < len(f.code) && !f.dataWords[pc+n] && opcode(f.code[pc+n]) == glua.OP_MOVE {
			n++
		}
		if n > 1 {
			f.code[pc] = f.code[pc]&(1<<26-1) | uint32(glua.OP_MOVEN)<<26 | uint32(n-1)<<9 //nolint:gosec // below 512
			pc += n - 1
		}
	}
}

// constant returns the index of the constant v and adds it if necessary. 0 and -0
// are the same constant, as in Lua 5.1.
func (f *fn) constant(v glua.LValue) int {
	i, ok := f.constantIndex[v]
	if !ok {
		i = len(f.constants)
		if i >= maxConstants {
			f.fail(f.line, "the function has more than %d constants", maxConstants)
		}
		f.constants = append(f.constants, v)
		f.constantIndex[v] = i
	}
	return i
}

// checkName refuses a long name of a global or a method, because the
// interpreter's instructions for names are not charged for the length.
func (f *fn) checkName(name string, line int) {
	if len(name) > freeTextBytes {
		f.fail(line, "a name has %d bytes: the maximum is %d", len(name), freeTextBytes)
	}
}

// nameConstant returns the index of the constant name, for an instruction whose
// operand is a name.
func (f *fn) nameConstant(name string) int {
	i := f.constant(glua.LString(name))
	if i >= f.namesEnd {
		f.namesEnd = i + 1
		f.usedNames = append(f.usedNames, name)
	}
	return i
}

// proto returns the finished function. gopher-lua also keeps the names among the
// constants in a private field, which only its own compiler can set. So proto
// uses that compiler to compile a function with the same constants, and then
// replaces the code.
func (f *fn) proto() *glua.FunctionProto {
	var body []ast.Stmt
	for i, v := range f.constants[:f.namesEnd] {
		var e ast.Expr = &ast.NumberExpr{Value: strconv.Itoa(i)} // not a name: a placeholder at this index
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
