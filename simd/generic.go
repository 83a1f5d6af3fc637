package simd

// These functions are the reference. Tests compare every other kernel with them,
// and they run on CPUs that have no other usable kernel.

func squaredL2U8Generic(dst []uint32, query, rows []uint8) {
	for i := range dst {
		row := rows[i*len(query):][:len(query)]
		var sum int32
		for j, q := range query {
			d := int32(q) - int32(row[j])
			sum += d * d
		}
		dst[i] = uint32(sum)
	}
}

func squaredL2F32Generic(dst, query, rows []float32) {
	for i := range dst {
		row := rows[i*len(query):][:len(query)]
		var sum float32
		for j, q := range query {
			d := q - row[j]
			sum += d * d
		}
		dst[i] = sum
	}
}

func dotF32Generic(dst, query, rows []float32) {
	for i := range dst {
		row := rows[i*len(query):][:len(query)]
		var sum float32
		for j, q := range query {
			sum += q * row[j]
		}
		dst[i] = sum
	}
}
