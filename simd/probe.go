package simd

import (
	"encoding/binary"
	"sync/atomic"
)

// probeInstructions is the number of multiply instructions in a round of a probe.
const probeInstructions = 12

// probes measure the highest speed that one core reaches with a kernel's
// instructions.
type probes struct {
	stream          func(data []byte)
	u8, f32         func(rounds int)
	u8Step, f32Step int // products of one instruction
}

// ProbeStream reads data once, strictly in order, and does almost no
// arithmetic. No scan of the same bytes should be much faster. It ignores the
// bytes after the last multiple of 512.
func (k *Kernel) ProbeStream(data []byte) { k.probes.stream(data[:len(data)&^511]) }

// ProbeU8 multiplies and adds bytes with the instruction that k's scans and tiles
// use, without reading memory, and returns the number of products.
func (k *Kernel) ProbeU8(rounds int) (products int) {
	k.probes.u8(rounds)
	return rounds * probeInstructions * k.probes.u8Step
}

// ProbeF32 does the same as ProbeU8 for float32.
func (k *Kernel) ProbeF32(rounds int) (products int) {
	k.probes.f32(rounds)
	return rounds * probeInstructions * k.probes.f32Step
}

// probeSink keeps the compiler from removing the work of the generic probes.
var probeSink atomic.Uint64

func probeStreamGeneric(data []byte) {
	var sum uint64
	for i := 0; i < len(data); i += 8 {
		sum ^= binary.LittleEndian.Uint64(data[i:])
	}
	probeSink.Store(sum)
}

func probeU8Generic(rounds int) { probeProducts[int32](rounds) }

func probeF32Generic(rounds int) { probeProducts[float32](rounds) }

func probeProducts[T int32 | float32](rounds int) {
	x := T(probeSink.Load() & 1)
	var sums [probeInstructions]T
	for range rounds {
		for i := range sums {
			sums[i] += x * x
		}
	}
	total := T(0)
	for _, sum := range sums {
		total += sum
	}
	probeSink.Store(uint64(total))
}
