package vm

import (
	"fmt"
	"reflect"
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// This file mirrors private types of gopher-lua. Memory cannot be measured
// without them: the library has no function that tells how large a table, a
// thread or a closure is. checkLayout compares each mirror with the real type
// when the process starts, so a new version of the library that changes them
// is noticed at once.

// tableLayout mirrors glua.LTable.
type tableLayout struct {
	Metatable glua.LValue
	array     []glua.LValue
	dict      map[glua.LValue]glua.LValue
	strdict   map[string]glua.LValue
	keys      []glua.LValue // all keys of dict and strdict, removed ones too
	k2i       map[glua.LValue]int
}

// registryLayout mirrors the registry of gopher-lua: the values of one thread.
type registryLayout struct {
	array   []glua.LValue
	top     int
	growBy  int
	maxSize int
	alloc   unsafe.Pointer
	handler [2]unsafe.Pointer
}

// upvalueLayout mirrors glua.Upvalue.
type upvalueLayout struct {
	next   *glua.Upvalue
	reg    *registryLayout
	index  int
	value  glua.LValue
	closed bool
}

// frameLayout mirrors the call frame of gopher-lua.
type frameLayout struct {
	Idx        int
	Fn         *glua.LFunction
	Parent     *frameLayout
	Pc         int
	Base       int
	LocalBase  int
	ReturnBase int
	NArgs      int
	NRet       int
	TailCall   int
}

// instruction executes one opcode: the type of the entries of gopher-lua's
// jump table. The last parameter is a frame, which we only pass on.
type instruction = func(l *glua.LState, inst uint32, base unsafe.Pointer) int

// jumpTable is the table by which gopher-lua executes instructions. See
// meterInstructions.
//
//go:linkname jumpTable github.com/yuin/gopher-lua.jumpTable
var jumpTable [glua.OP_NOP + 1]instruction

func layoutOf(t *glua.LTable) *tableLayout { return (*tableLayout)(unsafe.Pointer(t)) }

func upvalueOf(u *glua.Upvalue) *upvalueLayout { return (*upvalueLayout)(unsafe.Pointer(u)) }

// registryOf returns the values of a thread.
func registryOf(l *glua.LState) *registryLayout {
	return *(**registryLayout)(unsafe.Add(unsafe.Pointer(l), registryOffset))
}

// frameOf returns the frame that a thread runs.
func frameOf(l *glua.LState) *frameLayout {
	return *(**frameLayout)(unsafe.Add(unsafe.Pointer(l), frameOffset))
}

// wordOf is the data pointer of an interface value.
func wordOf(v glua.LValue) uintptr { return uintptr((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]) }

var registryOffset, frameOffset = checkLayout()

// checkLayout panics when a mirror differs from what it mirrors. It returns
// where a thread keeps its registry and its frame.
func checkLayout() (registryAt, frameAt uintptr) {
	thread := reflect.TypeFor[glua.LState]()
	registry, ok1 := thread.FieldByName("reg")
	frame, ok2 := thread.FieldByName("currentFrame")
	if !ok1 || !ok2 || registry.Type.Kind() != reflect.Pointer || frame.Type.Kind() != reflect.Pointer {
		panic("vm: this version of gopher-lua has another type of thread")
	}
	sameLayout(reflect.TypeFor[frameLayout](), frame.Type.Elem())
	sameLayout(reflect.TypeFor[tableLayout](), reflect.TypeFor[glua.LTable]())
	sameLayout(reflect.TypeFor[registryLayout](), registry.Type.Elem())
	sameLayout(reflect.TypeFor[upvalueLayout](), reflect.TypeFor[glua.Upvalue]())
	return registry.Offset, frame.Offset
}

func sameLayout(mirror, theirs reflect.Type) {
	same := mirror.NumField() == theirs.NumField() && mirror.Size() == theirs.Size()
	for i := 0; same && i < theirs.NumField(); i++ {
		a, b := mirror.Field(i), theirs.Field(i)
		same = a.Name == b.Name && a.Offset == b.Offset && a.Type.Size() == b.Type.Size() &&
			(a.Type.Kind() == b.Type.Kind() || b.Type.Kind() == reflect.Interface || b.Type.Kind() == reflect.Pointer)
	}
	if !same {
		panic(fmt.Sprintf("vm: this version of gopher-lua has another %v", theirs))
	}
}
