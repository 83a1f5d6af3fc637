package vm

import (
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// A read of a field may go through up to 100 tables, each of them the __index of
// the table before. Following the chain to compute the charge costs as much as
// the read itself. So meterRead follows the chain for one of every sampleEvery
// reads, chosen at random, and multiplies its charge by sampleEvery.
const (
	sampleEvery = 16
	freeHops    = 2 // tables that are not charged: a class and its base
)

// isSampled reports whether this read belongs to the sample. The random numbers
// are the same in every execution, so a budget always ends a call at the same
// place.
func (ex *execution) isSampled() bool {
	ex.sampleState = ex.sampleState*1664525 + 1013904223 // constants of Numerical Recipes
	return ex.sampleState>>28 == 0
}

// meterRead charges for the chain of tables that a read follows.
func meterRead(next instruction) instruction {
	return func(l *glua.LState, inst uint32, base unsafe.Pointer) int {
		if table, ok := operand(l, argB(inst)).(*glua.LTable); ok && table.Metatable != glua.LNil {
			if ex := meteredExecution(l); ex != nil && ex.isSampled() {
				ex.unitsLeft -= sampleEvery * chargedHops(table, operand(l, argC(inst)))
			}
		}
		return next(l, inst, base)
	}
}

// chargedHops returns the number of tables that a read of table[key] looks at,
// less freeHops.
func chargedHops(table *glua.LTable, key glua.LValue) int {
	hops := 0
	for ; hops < glua.MaxTableGetLoop && table.RawGet(key) == glua.LNil; hops++ {
		meta, ok := table.Metatable.(*glua.LTable)
		if !ok {
			break
		}
		if table, ok = meta.RawGetString("__index").(*glua.LTable); !ok {
			break
		}
	}
	return max(hops-freeHops, 0)
}
