// Package synth makes descriptors to measure with: any number of rows, always
// the same for a seed, all distinct.
//
// A Set is either uniform, every value drawn for itself, which is the worst
// case for thresholds and bounds; or it is like faces: identities with 1 to 10
// pictures each, whose cosines are spread like those of the real descriptors in
// bench/data/faces.fvecs. Rows are made one by one from their number, so that
// several goroutines can fill parts of a set.
package synth
