package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// directFields returns the fields with Value.Direct, by name.
func (class *Class) directFields() map[string]Value {
	fields := map[string]Value{}
	for _, f := range class.Fields {
		if f.Direct {
			fields[f.Name] = f
		}
	}
	return fields
}

// readDirectly reads fields with Value.Direct without a call of the class's __index, which
// takes several times as long. If anything is unusual, next executes the instruction and
// raises the error.
func readDirectly(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if ud, ok := operand(l, argB(inst)).(*glua.LUserData); ok {
			at := frameOf(l).LocalBase + argA(inst)
			if v := directValue(l, ud, operand(l, argC(inst))); v != nil && registryOf(l).set(at, v) {
				return 0
			}
		}
		return next(l, inst, base)
	}
}

// directValue returns a field of an object, or nil if it cannot be read directly.
func directValue(l *glua.LState, ud *glua.LUserData, key glua.LValue) glua.LValue {
	o, isObject := ud.Value.(Object)
	ex := meteredExecution(l)
	if !isObject || ex == nil {
		return nil
	}
	name, _ := key.(glua.LString)
	field, ok := ex.state.lib.direct[o.Class][string(name)]
	if !ok {
		return nil
	}
	ex.fieldCall = Call{l: l, exec: ex, self: o.Value}
	value := field.Get(&ex.fieldCall)
	if _, failed := value.(error); failed {
		return nil
	}
	v, err := ex.toLua(value)
	if err != nil {
		return nil
	}
	return v
}

// set sets a register, as gopher-lua does. It returns false if the registry must grow first.
func (r *registryLayout) set(at int, v glua.LValue) bool {
	if at >= len(r.array) {
		return false
	}
	r.array[at] = v
	r.top = max(r.top, at+1)
	return true
}
