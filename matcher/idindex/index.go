// Package idindex finds numbers by key in little memory. A Go map with IDs as keys needs
// 25 to 50 bytes for each entry; an [Index] needs about 6, because the caller has the keys.
package idindex

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// The share of used slots is at most 4/5, so that a search examines few slots. An index
// with less than 1/4 of its slots in use becomes smaller.
const (
	slotsMin         = 16
	fullOf, fullPart = 5, 4
	idleShare        = 4
)

// Index is a set of numbers, each of which has a key. It is a hash table with linear
// probing. One goroutine may change it while no other uses it.
type Index[K comparable] struct {
	keyOf func(number uint32) K
	seed  maphash.Seed
	slots []uint32 // number + 1; 0: free
	n     int
}

// New returns an empty index. keyOf returns the key of a number, which must not change
// while the number is in the index.
func New[K comparable](keyOf func(number uint32) K) *Index[K] {
	return &Index[K]{keyOf: keyOf, seed: maphash.MakeSeed()}
}

// Len returns how many numbers the index has.
func (x *Index[K]) Len() int { return x.n }

// Find returns the number with a key.
func (x *Index[K]) Find(key K) (number uint32, ok bool) {
	if x.n == 0 {
		return 0, false
	}
	at, ok := x.slotOf(key)
	if !ok {
		return 0, false
	}
	return x.slots[at] - 1, true
}

// Add adds a number. The index must not have its key.
func (x *Index[K]) Add(number uint32) {
	if (x.n+1)*fullOf > len(x.slots)*fullPart {
		x.resize(max(slotsMin, len(x.slots)+len(x.slots)/4))
	}
	at, _ := x.slotOf(x.keyOf(number))
	x.slots[at] = number + 1
	x.n++
}

// Remove removes the number with a key, if there is one.
func (x *Index[K]) Remove(key K) {
	if x.n == 0 {
		return
	}
	hole, ok := x.slotOf(key)
	if !ok {
		return
	}
	// Later numbers move into the hole unless they would then come before their home slot.
	for at := x.after(hole); x.slots[at] != 0; at = x.after(at) {
		home := x.home(x.keyOf(x.slots[at] - 1))
		if x.distance(home, at) >= x.distance(hole, at) {
			x.slots[hole], hole = x.slots[at], at
		}
	}
	x.slots[hole] = 0
	if x.n--; len(x.slots) > slotsMin && x.n*idleShare < len(x.slots) {
		x.resize(max(slotsMin, len(x.slots)/2))
	}
}

// All calls yield with each number, in no particular order.
func (x *Index[K]) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, s := range x.slots {
			if s != 0 && !yield(s-1) {
				return
			}
		}
	}
}

// slotOf returns the slot of a key. If the index does not have the key, it returns the
// free slot in which the key would be. There must be a free slot.
func (x *Index[K]) slotOf(key K) (at int, ok bool) {
	for at = x.home(key); x.slots[at] != 0; at = x.after(at) {
		if x.keyOf(x.slots[at]-1) == key {
			return at, true
		}
	}
	return at, false
}

// home returns the first slot in which a key may be.
func (x *Index[K]) home(key K) int {
	hi, _ := bits.Mul64(maphash.Comparable(x.seed, key), uint64(len(x.slots)))
	return int(hi)
}

// after returns the slot after at.
func (x *Index[K]) after(at int) int {
	if at++; at == len(x.slots) {
		return 0
	}
	return at
}

// distance returns how many steps lead from a slot to another.
func (x *Index[K]) distance(from, to int) int {
	if to < from {
		to += len(x.slots)
	}
	return to - from
}

// resize moves all numbers into a table of the given size.
func (x *Index[K]) resize(size int) {
	old := x.slots
	x.slots = make([]uint32, size)
	for _, s := range old {
		if s != 0 {
			at, _ := x.slotOf(x.keyOf(s - 1))
			x.slots[at] = s
		}
	}
}
