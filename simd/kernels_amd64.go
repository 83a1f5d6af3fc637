//go:build amd64 && !purego

package simd

import (
	"github.com/klauspost/cpuid/v2"
	"github.com/viterin/vek/vek32"
)

func nativeKernels() []*Kernel {
	return []*Kernel{
		{
			name:         "avx2",
			level:        levelAVX2,
			usable:       cpuid.CPU.Supports(needAVX2...),
			needs:        needAVX2,
			squaredL2U8:  squaredL2U8AVX2,
			squaredL2F32: squaredL2F32Vek,
			dotF32:       dotF32Vek,
			wordsU8:      2,
			packU8:       packPairs,
			scanU8:       scansAVX2.fastest(),
			listU8:       listU8AVX2,
			listShare:    0.8,
			tileU8:       tileFuncs{2: tileU8x2AVX2, 4: tileU8x4AVX2, 6: tileU8x6AVX2},
			groupU8:      NarrowMax,
			within:       withinAVX2,
			oneOf:        oneOfAVX2,
			oneOfMax:     32,
			probes:       probes{probeStreamAVX2, probeU8AVX2, probeF32AVX2, 16, 8},
		},
		{
			name:         "avxvnni",
			level:        levelAVXVNNI,
			usable:       cpuid.CPU.Supports(needAVXVNNI...),
			needs:        needAVXVNNI,
			squaredL2U8:  squaredL2U8AVX2,
			squaredL2F32: squaredL2F32Vek,
			dotF32:       dotF32Vek,
			wordsU8:      1,
			packU8:       packBytes,
			scanU8:       scansAVXVNNI.fastest(),
			listU8:       listU8AVXVNNI,
			listShare:    0.8,
			tileU8:       tileFuncs{2: tileU8x2AVXVNNI, 4: tileU8x4AVXVNNI, 6: tileU8x6AVXVNNI},
			groupU8:      NarrowMax,
			within:       withinAVX2,
			oneOf:        oneOfAVX2,
			oneOfMax:     32,
			probes:       probes{probeStreamAVX2, probeU8AVXVNNI, probeF32AVX2, 32, 8},
		},
		avx512(),
		amx(),
	}
}

var (
	withinAVX2 = withinFuncs{2: within16AVX2, 4: within32AVX2, 8: within64AVX2}
	oneOfAVX2  = oneOfFuncs{4: oneOf32AVX2, 8: oneOf64AVX2}
)

// scans are the forms of a scan: near prefetches a few lines ahead, middle half a page, and
// far a page. middle is nil for instructions that only later CPUs of AMD have.
type scans struct{ near, middle, far scanFunc }

var (
	scansAVX2    = scans{scanU8AVX2, scanMiddleU8AVX2, scanFarU8AVX2}
	scansAVXVNNI = scans{scanU8AVXVNNI, nil, scanFarU8AVXVNNI}
	scansVNNI    = scans{scanU8VNNI, nil, scanFarU8VNNI}
)

// fastest returns the form that was measured to be the fastest one on CPUs like this one.
func (s scans) fastest() scanFunc {
	switch {
	case cpuid.CPU.VendorID == cpuid.Intel:
		return s.far
	case s.middle != nil && !cpuid.CPU.Supports(cpuid.AVX512F):
		return s.middle
	default:
		return s.near
	}
}

func avx512() *Kernel {
	return &Kernel{
		name:         "avx512-vnni",
		level:        levelAVX512,
		usable:       cpuid.CPU.Supports(needAVX512...),
		needs:        needAVX512,
		squaredL2U8:  squaredL2U8VNNI,
		squaredL2F32: squaredL2F32AVX512,
		dotF32:       dotF32AVX512,
		wordsU8:      1,
		packU8:       packBytes,
		scanU8:       scansVNNI.fastest(),
		listU8:       listU8VNNI,
		listShare:    0.8,
		spreadU8:     spreadFuncs{2: tileU8x2VNNI, 4: tileU8x4VNNI, 6: tileU8x6VNNI},
		groupU8:      NarrowMax,
		within:       withinFuncs{2: within16AVX512, 4: within32AVX512, 8: within64AVX512},
		oneOf:        oneOfFuncs{4: oneOf32AVX512, 8: oneOf64AVX512},
		oneOfMax:     64,
		probes:       probes{probeStreamAVX512, probeU8VNNI, probeF32AVX512, 64, 16},
	}
}

// amx returns the kernel of AMX. It differs from that of AVX-512 in its tiles.
func amx() *Kernel {
	k := avx512()
	k.name, k.level = "amx-int8", levelAMX
	k.usable, k.needs, k.permit = cpuid.CPU.Supports(needAMX...), needAMX, permitTiles
	k.groupU8, k.wideU8 = GroupMax, tileU8AMX
	k.probes.u8, k.probes.u8Step = probeU8AMX, 16*16*64
	return k
}

// squaredL2F32Vek squares vek's distance. ErrorBound includes the error of vek's
// square root.
func squaredL2F32Vek(dst, query, rows []float32) {
	for i := range dst {
		d := vek32.Distance(query, rows[i*len(query):][:len(query)])
		dst[i] = d * d
	}
}

func dotF32Vek(dst, query, rows []float32) {
	for i := range dst {
		dst[i] = vek32.Dot(query, rows[i*len(query):][:len(query)])
	}
}

// packPairs writes a query for a kernel that multiplies numbers of 16 bits. Every
// four dimensions make two words: one holds the first and third dimension, one
// the second and fourth, each minus 128. The padding is 0.
func packPairs(dst []uint32, query []uint8) {
	for j, x := range query {
		word := uint32(uint16(int16(x) - 128))
		dst[j/4*2+j%2] |= word << (j % 4 / 2 * 16)
	}
}
