// Package synth generates descriptors for measurements. A set has any number of rows. The
// rows are distinct and depend only on the seed.
//
// A Set has one of two kinds. In a uniform set, all values are independent, which is the
// worst case for thresholds and bounds. A set of faces has identities with 1 to 10 pictures
// each, and the distribution of their cosines resembles that of the real descriptors in
// bench/data/faces.fvecs. Each row is generated from its number alone, so several
// goroutines can fill parts of a set.
package synth
