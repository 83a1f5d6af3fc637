package main

import "fmt"

// A line of a block has 64 bytes, four bytes of each of 16 rows, and fills four
// registers. A query has one word of four bytes for each line.
const (
	lineBytes  = 64
	blockRows  = 16
	tileBlocks = 4
	tileRows   = tileBlocks * blockRows
	groupMax   = 6
	slice      = 24 // bytes of a slice header
)

func interleaved() []*function {
	var all []*function
	for _, k := range []scanKernel{neonScan, dotProdScan, i8mmScan} {
		all = append(all, k.scan(), k.list())
	}
	for _, width := range []int{2, 4, groupMax} {
		all = append(all, tileNEON(width), tileDotProd(width), tileI8MM(width))
	}
	return all
}

// sumQueries adds four words of a query, or one word of four queries, to the sums of
// their bytes: one sum for each word. tmp is overwritten.
func (f *function) sumQueries(words, tmp, sums vec) {
	f.two(saddlp, tmp, words)
	f.two(sadalp, sums, tmp)
}

// finish turns the sums of 4*count rows into values. The sums are in count registers
// from acc on, the constants in count registers from consts on. finish stores the
// values at the address in values and moves it forward. It stores a bit for each row,
// set if the value is within the limit, at the operand mask. It overwrites the sums
// and R16.
func (f *function) finish(acc vec, count int, consts, limit, bit vec, values reg, mask string) {
	for i := range vec(count) {
		f.op("VADD %v.S4, %[1]v.S4, %[1]v.S4", acc+i)
		f.op("VSUB %v.S4, %v.S4, %[1]v.S4", acc+i, consts+i)
	}
	f.op("VST1.P %s, %d(%v)", list(acc, count, "S4"), 16*count, values)
	for i := range vec(count) {
		f.three(cmgeS, acc+i, limit, acc+i)
	}
	// A comparison sets all bits of a lane. One byte of each lane is enough.
	last, store := acc, "MOVB"
	f.op("VUZP1 %v.H8, %v.H8, %[2]v.H8", acc+1, acc)
	if count == 4 {
		f.op("VUZP1 %v.H8, %v.H8, %[2]v.H8", acc+3, acc+2)
		last, store = acc+2, "MOVH"
	}
	f.op("VUZP1 %v.B16, %v.B16, %[2]v.B16", last, acc)
	f.op("VAND %v.B16, %v.B16, %[2]v.B16", bit, acc)
	for range 3 {
		f.op("VADDP %v.B16, %[1]v.B16, %[1]v.B16", acc)
	}
	f.op("VMOV %v.H[0], R16", acc)
	f.op("%s R16, %s", store, mask)
}

// registersOf returns the number of registers that hold n words.
func registersOf(n int) int { return (n + 3) / 4 }

// loadWords loads n words, 2, 4 or 6, at r into registers from first on, and moves r
// forward.
func (f *function) loadWords(n int, r reg, first vec) {
	for i := 0; i < n; i += 4 {
		if n-i == 2 {
			f.op("VLD1.P 8(%v), [%v.B8]", r, first+vec(i/4))
		} else {
			f.op("VLD1.P 16(%v), [%v.B16]", r, first+vec(i/4))
		}
	}
}

// fillSigns fills a register with 0x80 in every byte. An exclusive or with it subtracts
// 128 from unsigned bytes and makes them signed.
func (f *function) fillSigns(v vec) { f.op("VMOVI $0x80, %v.B16", v) }

func scanDoc(name string) []string {
	return []string{name + " compares one query with the rows of consecutive blocks.", "The caller has checked the sizes."}
}

func listDoc(name string) []string {
	return []string{
		name + " compares one query with the blocks list[:len(masks)].",
		fmt.Sprintf("It prefetches the block that is %d places later in the list.", listAhead),
		"The caller has checked the sizes.",
	}
}
