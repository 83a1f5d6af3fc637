package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// longText is how many bytes of a string an instruction may touch without a
// charge.
const longText = 256

// meterInstructions wraps those instructions of gopher-lua whose time or
// memory depends on their operands, so that they are charged for it. All
// others count as one unit of work each. The wrapped ones are process-wide;
// on a thread that does not belong to a task they charge nothing.
func meterInstructions() {
	wrap := func(meter func(next instruction) instruction, ops ...int) {
		for _, op := range ops {
			jumpTable[op] = meter(jumpTable[op])
		}
	}
	wrap(meterGet, glua.OP_GETTABLE)
	wrap(meterSet, glua.OP_SETTABLE)
	wrap(meterSetField, glua.OP_SETTABLEKS)
	wrap(meterSetList, glua.OP_SETLIST)
	wrap(meterNewTable, glua.OP_NEWTABLE)
	wrap(meterClosure, glua.OP_CLOSURE)
	wrap(meterCompare(80), glua.OP_EQ)
	wrap(meterCompare(6), glua.OP_LT, glua.OP_LE)
	wrap(meterCall, glua.OP_CALL, glua.OP_TAILCALL)
	wrap(meterVarargs, glua.OP_VARARG)
}

func init() { meterInstructions() }

// Operands of an instruction.
func argA(inst uint32) int { return int(inst>>18) & 0xff }
func argB(inst uint32) int { return int(inst & 0x1ff) }
func argC(inst uint32) int { return int(inst>>9) & 0x1ff }

// operand is a register or a constant of the current frame.
func operand(l *glua.LState, arg int) glua.LValue {
	frame := frameOf(l)
	if arg&0x100 != 0 {
		return frame.Fn.Proto.Constants[arg&0xff]
	}
	return registryOf(l).array[frame.LocalBase+arg]
}

// metered returns the task that runs l, if there is one.
func metered(l *glua.LState) *task {
	t, _ := l.Context().(*task)
	return t
}

func meterGet(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if key, ok := operand(l, argC(inst)).(glua.LString); ok && len(key) > longText {
			spend(l, len(key)/128)
		}
		return next(l, inst, base)
	}
}

// spend charges the task of l, if there is one. The call is killed at its next
// instruction when its budget is spent.
func spend(l *glua.LState, units int) {
	if t := metered(l); t != nil {
		t.left -= units
	}
}

func meterSet(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		table, _ := operand(l, argA(inst)).(*glua.LTable)
		t := metered(l)
		if table == nil || t == nil {
			return next(l, inst, base)
		}
		key := operand(l, argB(inst))
		table = assigned(table, key)
		if table == nil {
			return next(l, inst, base)
		}
		t.prepareSet(l, table, key, operand(l, argC(inst)))
		before := sizeNow(table)
		result := next(l, inst, base)
		t.grown(table, before)
		return result
	}
}

func meterSetField(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		table, _ := operand(l, argA(inst)).(*glua.LTable)
		t := metered(l)
		if table == nil || t == nil {
			return next(l, inst, base)
		}
		before := sizeNow(table)
		if before.keys > compactAt {
			t.forget(table, operand(l, argB(inst)), operand(l, argC(inst)))
			before = sizeNow(table)
		}
		result := next(l, inst, base)
		t.grown(table, before)
		return result
	}
}

func meterSetList(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		table, _ := operand(l, argA(inst)).(*glua.LTable)
		t := metered(l)
		if table == nil || t == nil {
			return next(l, inst, base)
		}
		before := sizeNow(table)
		result := next(l, inst, base)
		t.left -= argB(inst) / 4
		t.grown(table, before)
		return result
	}
}

func meterNewTable(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if t := metered(l); t != nil {
			bytes := tableBytes + argB(inst)*valueBytes
			if n := argC(inst); n > 0 {
				bytes += sizeOfMapFor(n, 32)
			}
			t.allocated(bytes)
		}
		return next(l, inst, base)
	}
}

func meterClosure(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		result := next(l, inst, base)
		if t := metered(l); t != nil {
			if fn, ok := l.Get(argA(inst) + 1).(*glua.LFunction); ok {
				t.allocated(functionBytes + len(fn.Upvalues)*(upvalueBytes+8))
			}
		}
		return result
	}
}

// trailing is how many nils are at the end of a table's array: # looks at each
// of them.
func trailing(table *glua.LTable) int {
	array := layoutOf(table).array
	n := len(array)
	for n > 0 && array[n-1] == glua.LNil {
		n--
	}
	return len(array) - n
}

// meterCompare charges for the comparison of long strings, bytes of which
// count as one unit.
func meterCompare(bytes int) func(next instruction) instruction {
	return func(next instruction) instruction {
		return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
			if a, ok := operand(l, argB(inst)).(glua.LString); ok && len(a) > longText {
				if b, ok := operand(l, argC(inst)).(glua.LString); ok {
					spend(l, min(len(a), len(b))/bytes)
				}
			}
			return next(l, inst, base)
		}
	}
}

// meterCall charges for an open list of arguments, each of which is copied.
func meterCall(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if argB(inst) == 0 {
			spend(l, (l.GetTop()-argA(inst))/8)
		}
		return next(l, inst, base)
	}
}

func meterVarargs(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		result := next(l, inst, base)
		if argB(inst) == 0 {
			spend(l, (l.GetTop()-argA(inst))/8)
		}
		return result
	}
}
