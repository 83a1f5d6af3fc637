package matcher

import "slices"

// SmallsMax is the maximum number of values in a [Smalls].
const SmallsMax = 16

// Smalls is an optional field that has one number from 0 to 255, or a list of at most
// [SmallsMax] of them. It keeps which of both a client gave, and the order of a list. The
// zero value means that the field is absent. The first byte is smallsOne or smallsList;
// one byte for each number follows.
type Smalls string

const (
	smallsOne  = '1'
	smallsList = '['
)

// OneSmall returns a Smalls that has one number, not in a list.
func OneSmall(n uint8) Smalls { return Smalls([]byte{smallsOne, n}) }

// SmallsOf returns a Smalls that has a list, which may be empty.
func SmallsOf(list []uint8) Smalls { return Smalls(append([]byte{smallsList}, list...)) }

// Values returns the numbers. isList reports whether they are a list. Both results are
// zero if the field is absent.
func (s Smalls) Values() (values []uint8, isList bool) {
	if s == "" {
		return nil, false
	}
	return []uint8(s[1:]), s[0] == smallsList
}

// Any reports whether one of the numbers passes.
func (s Smalls) Any(passes func(uint8) bool) bool {
	return s != "" && slices.ContainsFunc([]byte(s[1:]), passes)
}
