// Package vex adds instructions to avo that it does not know, and Go's assembler
// neither: the instructions of AMX tiles, and VPDPBUSD for CPUs without AVX-512.
// All are written as bytes: three bytes of VEX prefix, an opcode, and operands.
package vex

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// Tile is the number of a tile register, 0 to 7.
type Tile = operand.U8

// Generate is avo's Generate for programs that use this package. It writes the bytes
// of an instruction when the registers are known.
func Generate() {
	pass.Compile = pass.Concat(pass.Compile, pass.FunctionPass(encode))
	build.Generate()
}

// LDTILECFG configures the tile registers from 64 bytes of memory and fills them with
// zeros.
func LDTILECFG(config operand.Mem) {
	add(&ir.Instruction{Opcode: "LDTILECFG", Operands: ops(config), Inputs: ops(config), ISA: []string{"AMXTILE"}})
}

// TILERELEASE ends the use of the tile registers.
func TILERELEASE() {
	add(&ir.Instruction{Opcode: "TILERELEASE", ISA: []string{"AMXTILE"}})
}

// TILEZERO fills t with zeros.
func TILEZERO(t Tile) {
	add(&ir.Instruction{Opcode: "TILEZERO", Operands: ops(t), ISA: []string{"AMXTILE"}})
}

// TILELOADD loads t. The index of m times its scale is the distance between rows.
func TILELOADD(m operand.Mem, t Tile) {
	add(&ir.Instruction{Opcode: "TILELOADD", Operands: ops(m, t), Inputs: ops(m), ISA: []string{"AMXTILE"}})
}

// TILELOADDT1 is TILELOADD for data that will not be used again soon.
func TILELOADDT1(m operand.Mem, t Tile) {
	add(&ir.Instruction{Opcode: "TILELOADDT1", Operands: ops(m, t), Inputs: ops(m), ISA: []string{"AMXTILE"}})
}

// TILESTORED stores t. The index of m times its scale is the distance between rows.
func TILESTORED(t Tile, m operand.Mem) {
	add(&ir.Instruction{Opcode: "TILESTORED", Operands: ops(t, m), Outputs: ops(m), ISA: []string{"AMXTILE"}})
}

// TDPBSUD adds the products of the unsigned bytes of b and the signed bytes of a to
// sum.
func TDPBSUD(b, a, sum Tile) {
	add(&ir.Instruction{Opcode: "TDPBSUD", Operands: ops(b, a, sum), ISA: []string{"AMXINT8"}})
}

// VPDPBUSD adds the products of the signed bytes of b and the unsigned bytes of a to
// sum. All are registers of 32 bytes, of the first sixteen.
func VPDPBUSD(b, a, sum reg.Register) {
	add(&ir.Instruction{
		Opcode: vpdpbusd, Operands: ops(b, a, sum), Inputs: ops(b, a, sum), Outputs: ops(sum), ISA: []string{"AVXVNNI"},
	})
}

// vpdpbusd is not the name that the assembler knows, because that is the EVEX form.
const vpdpbusd = "VEX VPDPBUSD"

func add(i *ir.Instruction) { build.Instruction(i) }

func ops(list ...operand.Op) []operand.Op { return list }

// The prefixes that VEX contains.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

// encoders return the bytes of instructions. None needs more than one encoder.
var encoders = map[string]func(o []operand.Op) []byte{
	"LDTILECFG":   func(o []operand.Op) []byte { return bytesOf(prefixNone, 0, 0x49, 0, 0, o[0]) },
	"TILERELEASE": func([]operand.Op) []byte { return bytesOf(prefixNone, 0, 0x49, 0, 0, Tile(0)) },
	"TILEZERO":    func(o []operand.Op) []byte { return bytesOf(prefixF2, 0, 0x49, number(o[0]), 0, Tile(0)) },
	"TILELOADD":   func(o []operand.Op) []byte { return bytesOf(prefixF2, 0, 0x4b, number(o[1]), 0, o[0]) },
	"TILELOADDT1": func(o []operand.Op) []byte { return bytesOf(prefix66, 0, 0x4b, number(o[1]), 0, o[0]) },
	"TILESTORED":  func(o []operand.Op) []byte { return bytesOf(prefixF3, 0, 0x4b, number(o[0]), 0, o[1]) },
	"TDPBSUD":     func(o []operand.Op) []byte { return bytesOf(prefixF3, 0, 0x5e, number(o[2]), number(o[0]), o[1]) },
	vpdpbusd:      func(o []operand.Op) []byte { return bytesOf(prefix66, 1, 0x50, number(o[2]), number(o[1]), o[0]) },
}

// encode replaces the instructions of this package by their bytes, each with a comment.
func encode(f *ir.Function) error {
	var nodes []ir.Node
	for _, n := range f.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok || encoders[i.Opcode] == nil {
			nodes = append(nodes, n)
			continue
		}
		nodes = append(nodes, ir.NewComment(text(i)))
		for code := encoders[i.Opcode](i.Operands); len(code) > 0; {
			d, size := directive(code)
			nodes, code = append(nodes, d), code[size:]
		}
	}
	f.Nodes = nodes
	return nil
}

func text(i *ir.Instruction) string {
	var operands []string
	for _, o := range i.Operands {
		if t, ok := o.(Tile); ok {
			operands = append(operands, fmt.Sprintf("TMM%d", t))
		} else {
			operands = append(operands, o.Asm())
		}
	}
	return strings.TrimSpace(i.Opcode + " " + strings.Join(operands, ", "))
}

// directive returns an instruction of the assembler that writes the first bytes of
// code, and their number.
func directive(code []byte) (*ir.Instruction, int) {
	switch {
	case len(code) >= 4:
		return &ir.Instruction{Opcode: "LONG", Operands: ops(operand.U32(binary.LittleEndian.Uint32(code)))}, 4
	case len(code) >= 2:
		return &ir.Instruction{Opcode: "WORD", Operands: ops(operand.U16(binary.LittleEndian.Uint16(code)))}, 2
	}
	return &ir.Instruction{Opcode: "BYTE", Operands: ops(operand.U8(code[0]))}, 1
}

// number returns the number of a register.
func number(o operand.Op) int {
	if t, ok := o.(Tile); ok {
		return int(t)
	}
	n := int(reg.ToPhysical(o.(reg.Register)).PhysicalIndex())
	if n > 15 {
		panic(fmt.Sprintf("vex: register must be one of the first sixteen, got %s", o.Asm()))
	}
	return n
}

// bytesOf returns the bytes of an instruction of opcode map 0F38. long is 1 for
// registers of 32 bytes. r, v and rm are the operands in Intel's order: the fields
// ModRM.reg, VEX.vvvv and ModRM.rm, of which the last may be memory.
func bytesOf(prefix, long, opcode, r, v int, rm operand.Op) []byte {
	m, isMem := rm.(operand.Mem)
	if !isMem {
		return append(prefixes(prefix, long, r, 0, number(rm), v), byte(opcode), byte(0xc0|r&7<<3|number(rm)&7))
	}
	// Memory always has a SIB byte, whose index 4 means that there is none.
	base, index, scale := number(m.Base), 4, 0
	if m.Index != nil {
		index, scale = number(m.Index), bits.TrailingZeros8(m.Scale)
	}
	mode, disp := 2, binary.LittleEndian.AppendUint32(nil, uint32(m.Disp))
	switch {
	case m.Disp == 0 && base&7 != 5:
		mode, disp = 0, nil
	case m.Disp >= math.MinInt8 && m.Disp <= math.MaxInt8:
		mode, disp = 1, disp[:1]
	}
	code := append(prefixes(prefix, long, r, index, base, v), byte(opcode), byte(mode<<6|r&7<<3|4), byte(scale<<6|index&7<<3|base&7))
	return append(code, disp...)
}

// prefixes returns the VEX prefix. It has the inverted high bits of the register
// numbers r, index and base, and the inverted number v.
func prefixes(prefix, long, r, index, base, v int) []byte {
	return []byte{0xc4, byte(^r>>3&1<<7 | ^index>>3&1<<6 | ^base>>3&1<<5 | 2), byte(^v&15<<3 | long<<2 | prefix)}
}
