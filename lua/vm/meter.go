package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// freeTextBytes is the length of a string up to which an instruction is not
// charged for the string.
const freeTextBytes = 256

// meterInstructions wraps the instructions of gopher-lua whose time or memory
// depends on their operands, so that they are charged for it. Every other
// instruction counts as one unit of work. The wrapped instructions apply to the
// whole process. On a thread without an execution they charge nothing.
func meterInstructions() {
	wrap := func(meter func(next instruction) instruction, ops ...int) {
		for _, op := range ops {
			jumpTable[op] = meter(jumpTable[op])
		}
	}
	wrap(readDirectly, glua.OP_GETTABLEKS)
	wrap(meterKey, glua.OP_GETTABLE)
	wrap(meterRead, glua.OP_GETTABLE, glua.OP_GETTABLEKS, glua.OP_SELF)
	wrap(meterIterator, glua.OP_TFORLOOP)
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

// argA, argB and argC return the operands of an instruction.
func argA(inst uint32) int { return int(inst>>18) & 0xff }
func argB(inst uint32) int { return int(inst & 0x1ff) }
func argC(inst uint32) int { return int(inst>>9) & 0x1ff }

// operand returns the value of a register or constant of the current frame.
func operand(l *glua.LState, arg int) glua.LValue {
	frame := frameOf(l)
	if arg&0x100 != 0 {
		return frame.Fn.Proto.Constants[arg&0xff]
	}
	return registryOf(l).array[frame.LocalBase+arg]
}

// meteredExecution returns the execution to which the thread l belongs, or nil.
func meteredExecution(l *glua.LState) *execution {
	ex, _ := l.Context().(*execution)
	return ex
}

// meterKey charges for reading a key that is a long string.
func meterKey(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if key, ok := operand(l, argC(inst)).(glua.LString); ok && len(key) > freeTextBytes {
			spendUnits(l, len(key)/128)
		}
		return next(l, inst, base)
	}
}

// spendUnits charges the execution of l, if it has one. If the budget is spent,
// the call is killed at its next instruction.
func spendUnits(l *glua.LState, units int) {
	if ex := meteredExecution(l); ex != nil {
		ex.unitsLeft -= units
	}
}

// meterSet charges for an assignment to table[key].
func meterSet(next instruction) instruction {
	return meterGrowth(next, func(ex *execution, l *glua.LState, table *glua.LTable, inst uint32) *glua.LTable {
		key := operand(l, argB(inst))
		if table = ex.assignedTable(table, key); table != nil {
			ex.prepareSet(l, table, key, operand(l, argC(inst)))
		}
		return table
	})
}

// meterSetField charges for an assignment to table.name. The source has a limited
// number of names, so removed keys matter only in a table with many keys.
func meterSetField(next instruction) instruction {
	return meterGrowth(next, func(ex *execution, l *glua.LState, table *glua.LTable, inst uint32) *glua.LTable {
		if table.Metatable != glua.LNil {
			table = ex.assignedTable(table, operand(l, argB(inst)))
		}
		if table != nil && len(layoutOf(table).keys) > compactAt {
			ex.dropRemovedKeys(table, operand(l, argB(inst)), operand(l, argC(inst)))
		}
		return table
	})
}

// meterSetList charges for the items of a table constructor.
func meterSetList(next instruction) instruction {
	return meterGrowth(next, func(ex *execution, _ *glua.LState, table *glua.LTable, inst uint32) *glua.LTable {
		ex.unitsLeft -= argB(inst) / 4
		return table
	})
}

// meterGrowth charges for the growth of the table in operand A. prepare runs
// first. It returns the table that the instruction changes, or nil if it is not
// known.
func meterGrowth(next instruction, prepare func(*execution, *glua.LState, *glua.LTable, uint32) *glua.LTable) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		table, _ := operand(l, argA(inst)).(*glua.LTable)
		ex := meteredExecution(l)
		if table == nil || ex == nil {
			return next(l, inst, base)
		}
		if table = prepare(ex, l, table, inst); table == nil {
			return next(l, inst, base)
		}
		before := extentOf(table)
		result := next(l, inst, base)
		ex.chargeGrowth(table, before)
		return result
	}
}

// iteratorUnits is the work of calling the iterator of a generic for, in addition
// to the instructions of the iterator.
const iteratorUnits = 6

// meterIterator charges for the call of an iterator.
func meterIterator(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		spendUnits(l, iteratorUnits)
		return next(l, inst, base)
	}
}

// meterNewTable charges for the bytes of a new table.
func meterNewTable(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if ex := meteredExecution(l); ex != nil {
			bytes := tableBytes + argB(inst)*valueBytes
			if n := argC(inst); n > 0 {
				bytes += sizeOfMapFor(n, 32)
			}
			ex.countAllocated(bytes)
		}
		return next(l, inst, base)
	}
}

// meterClosure charges for the bytes of a new closure.
func meterClosure(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		result := next(l, inst, base)
		if ex := meteredExecution(l); ex != nil {
			if fn, ok := l.Get(argA(inst) + 1).(*glua.LFunction); ok {
				ex.countAllocated(functionBytes + len(fn.Upvalues)*(upvalueBytes+8))
			}
		}
		return result
	}
}

// trailingNils returns the number of nils at the end of a table's array. The
// operator # looks at each of them.
func trailingNils(table *glua.LTable) int {
	array := layoutOf(table).array
	n := len(array)
	for n > 0 && array[n-1] == glua.LNil {
		n--
	}
	return len(array) - n
}

// meterCompare charges for the comparison of long strings: one unit for the given
// number of bytes.
func meterCompare(bytes int) func(next instruction) instruction {
	return func(next instruction) instruction {
		return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
			if a, ok := operand(l, argB(inst)).(glua.LString); ok && len(a) > freeTextBytes {
				if b, ok := operand(l, argC(inst)).(glua.LString); ok {
					spendUnits(l, min(len(a), len(b))/bytes)
				}
			}
			return next(l, inst, base)
		}
	}
}

// meterCall charges for copying an open list of arguments, such as f(...).
func meterCall(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if argB(inst) == 0 {
			spendUnits(l, (l.GetTop()-argA(inst))/8)
		}
		return next(l, inst, base)
	}
}

// meterVarargs charges for copying the values of `...`.
func meterVarargs(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		result := next(l, inst, base)
		if argB(inst) == 0 {
			spendUnits(l, (l.GetTop()-argA(inst))/8)
		}
		return result
	}
}
