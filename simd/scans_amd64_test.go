//go:build amd64 && !purego

package simd

// scanForms returns k with each form of its scan.
func scanForms(k *Kernel) []*Kernel {
	forms, ok := map[level]scans{levelAVX2: scansAVX2, levelAVXVNNI: scansAVXVNNI, levelAVX512: scansVNNI, levelAMX: scansVNNI}[k.level]
	if !ok {
		return []*Kernel{k}
	}
	var all []*Kernel
	for _, scan := range []scanFunc{forms.near, forms.middle, forms.far} {
		if scan != nil {
			form := *k
			form.scanU8 = scan
			all = append(all, &form)
		}
	}
	return all
}
