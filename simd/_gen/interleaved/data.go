package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// evenBytes is the result of evenBytesData. It is empty before the first call.
var evenBytes Mem

// evenBytesData returns the address of a constant of 32 bytes: 0xff in the even
// bytes, 0 in the odd ones. The first call generates it.
func evenBytesData() Mem {
	if evenBytes.Base == nil {
		evenBytes = GLOBL("evenBytes", attr.RODATA|attr.NOPTR)
		for i := range 8 {
			DATA(4*i, U32(0x00ff00ff))
		}
	}
	return evenBytes
}
