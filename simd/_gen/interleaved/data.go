package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// Predicates of VCMPPS: ordered, so that NaN is neither, and quiet.
const (
	greater = 0x1e
	less    = 0x11
)

var made = map[string]Mem{}

// infinityData is +Inf as float32.
func infinityData() Mem {
	return once("infinity", 1, 0x7f800000)
}

// evenBytesData has ones in the even bytes of a register of AVX2.
func evenBytesData() Mem {
	return once("evenBytes", 8, 0x00ff00ff)
}

// once writes a constant, a word repeated, on first use.
func once(name string, count int, word uint32) Mem {
	if m, ok := made[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range count {
		DATA(4*i, U32(word))
	}
	made[name] = m
	return m
}
