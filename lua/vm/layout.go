package vm

import (
	"fmt"
	"reflect"
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// This file mirrors private types of gopher-lua. They are needed to measure
// memory, because gopher-lua has no function that returns the size of a table, a
// thread or a closure. checkLayout compares each mirror with the real type when
// the process starts. So a new version of gopher-lua that changes a type stops the
// process at its start.

// tableLayout mirrors glua.LTable.
type tableLayout struct {
	Metatable glua.LValue
	array     []glua.LValue
	dict      map[glua.LValue]glua.LValue
	strdict   map[string]glua.LValue
	keys      []glua.LValue // all keys of dict and strdict, removed ones included
	k2i       map[glua.LValue]int
}

// registryLayout mirrors gopher-lua's registry, which holds the values of one
// thread.
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

// An instruction is an entry of gopher-lua's jump table: a function that executes
// one opcode. The last parameter is a call frame, which this package only passes
// on.
type instruction = func(l *glua.LState, inst uint32, base unsafe.Pointer) int

// jumpTable is gopher-lua's table of the functions that execute instructions. See
// meterInstructions.
//
//go:linkname jumpTable github.com/yuin/gopher-lua.jumpTable
var jumpTable [glua.OP_NOP + 1]instruction

func layoutOf(t *glua.LTable) *tableLayout { return (*tableLayout)(unsafe.Pointer(t)) }

func upvalueOf(u *glua.Upvalue) *upvalueLayout { return (*upvalueLayout)(unsafe.Pointer(u)) }

// registryOf returns the registry of a thread.
func registryOf(l *glua.LState) *registryLayout {
	return *(**registryLayout)(unsafe.Add(unsafe.Pointer(l), registryOffset))
}

// frameOf returns the current call frame of a thread.
func frameOf(l *glua.LState) *frameLayout {
	return *(**frameLayout)(unsafe.Add(unsafe.Pointer(l), frameOffset))
}

// dataPointer returns the data pointer of an interface value.
func dataPointer(v glua.LValue) uintptr { return uintptr((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]) }

var registryOffset, frameOffset = checkLayout()

// checkLayout panics if a mirror differs from the type that it mirrors. It returns
// the offsets of the registry and the current frame in a thread.
func checkLayout() (registryAt, frameAt uintptr) {
	thread := reflect.TypeFor[glua.LState]()
	registry, ok1 := thread.FieldByName("reg")
	frame, ok2 := thread.FieldByName("currentFrame")
	if !ok1 || !ok2 || registry.Type.Kind() != reflect.Pointer || frame.Type.Kind() != reflect.Pointer {
		panic("vm: this version of gopher-lua has another layout of LState: the fields reg and currentFrame must be pointers")
	}
	sameLayout(reflect.TypeFor[frameLayout](), frame.Type.Elem())
	sameLayout(reflect.TypeFor[tableLayout](), reflect.TypeFor[glua.LTable]())
	sameLayout(reflect.TypeFor[registryLayout](), registry.Type.Elem())
	sameLayout(reflect.TypeFor[upvalueLayout](), reflect.TypeFor[glua.Upvalue]())
	return registry.Offset, frame.Offset
}

// sameLayout panics if the two types have different fields, offsets or sizes.
func sameLayout(mirror, theirs reflect.Type) {
	same := mirror.NumField() == theirs.NumField() && mirror.Size() == theirs.Size()
	for i := 0; same && i < theirs.NumField(); i++ {
		a, b := mirror.Field(i), theirs.Field(i)
		same = a.Name == b.Name && a.Offset == b.Offset && a.Type.Size() == b.Type.Size() &&
			(a.Type.Kind() == b.Type.Kind() || b.Type.Kind() == reflect.Interface || b.Type.Kind() == reflect.Pointer)
	}
	if !same {
		panic(fmt.Sprintf("vm: this version of gopher-lua has another layout of %v than %v", theirs, mirror))
	}
}
