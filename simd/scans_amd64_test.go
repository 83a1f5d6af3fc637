//go:build amd64 && !purego

package simd

// scanForms returns k with each form of its scan.
func scanForms(k *Kernel) []*Kernel {
	forms, ok := map[level]scans{levelAVX2: scansAVX2, levelAVXVNNI: scansAVXVNNI, levelAVX512: scansVNNI, levelAMX: scansVNNI}[k.level]
	if !ok {
		return []*Kernel{k}
	}
	near, far := *k, *k
	near.scanU8, far.scanU8 = forms.near, forms.far
	return []*Kernel{&near, &far}
}
