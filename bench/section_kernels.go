package main

import (
	"time"
	"unsafe"

	"nearside/simd"
)

// kernelRun is a function of a kernel that processes a block of memory.
type kernelRun struct {
	name  string
	float bool
	run   func(k *simd.Kernel, block []byte)
}

// kernelBlock is the number of bytes of one call of a kernel. It fits in the L2 cache.
const kernelBlock = 256 << 10

// kernelSection measures the row-major functions of the kernels on a large region of
// memory and on a block that stays in the cache, and compares them with the limits.
// `make microbench PKG=./simd` measures all functions in detail.
func (s *suite) kernelSection() error {
	const dim = 512
	query := make([]byte, 4*dim)
	copy(query, s.region[len(s.region)/2:])
	floats := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(query))), dim)
	sums, products := make([]uint32, kernelBlock/dim), make([]float32, kernelBlock/dim/4)
	runs := []kernelRun{
		{"SquaredL2U8", false, func(k *simd.Kernel, block []byte) { k.SquaredL2U8(sums, query[:dim], block) }},
		{"SquaredL2F32", true, func(k *simd.Kernel, block []byte) { k.SquaredL2F32(products, floats, asFloats(block)) }},
		{"DotF32", true, func(k *simd.Kernel, block []byte) { k.DotF32(products, floats, asFloats(block)) }},
	}
	for _, k := range usableKernels() {
		for _, r := range runs {
			for _, cached := range []bool{false, true} {
				if err := s.measureKernel(k, r, cached); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *suite) measureKernel(k *simd.Kernel, r kernelRun, cached bool) error {
	l := limits{k, 1, s.region}
	name, part := r.name+" from memory", s.region[:len(s.region)&^(kernelBlock-1)]
	repeat, bytes := 1, float64(len(part))
	if cached {
		name, part, repeat, bytes = r.name+" from L2", part[:kernelBlock], 200, 0 // 0: memory does not limit the speed
	}
	code := func() (float64, error) {
		start := time.Now()
		for range repeat {
			for i := 0; i < len(part); i += kernelBlock {
				r.run(k, part[i:i+kernelBlock])
			}
		}
		return time.Since(start).Seconds(), s.ctx.Err()
	}
	rowBytes, encoding := 512, "uint8"
	if r.float {
		rowBytes, encoding = 2048, "float32"
	}
	rows := repeat * len(part) / rowBytes
	rounds, limit, err := l.besideProbes(s.size.figureRounds, r.float, bytes, float64(rows*512), code)
	if err != nil {
		return err
	}
	s.addFigure(figure{
		Section: "kernels", Data: "-", What: name, Kernel: k.Name(), Workers: 1, Encoding: encoding, Dim: 512, Rows: rows, Compared: rows, Queries: 1,
		Seconds: rounds.Seconds(firstCode),
		OfLimit: rounds.Summary(func(seconds []float64) float64 { return limit(seconds) / seconds[firstCode] }),
	})
	return nil
}

// asFloats returns aligned bytes as float32 values.
func asFloats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
