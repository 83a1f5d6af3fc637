package memory

import "nearside/matcher"

// countOf returns how many references are compared for the sub-requests with the indexes in
// members. Each part of a reference of type together is one.
func countOf(subs []matcher.SubRequest, members []int) int {
	n := 0
	for _, i := range members {
		n += subs[i].Reference.Count()
	}
	return n
}

// waves divides members, which are indexes of sub-requests, into waves of at most size
// references. size is at least matcher.PartsMax.
func waves(subs []matcher.SubRequest, members []int, size int) [][]int {
	var all [][]int
	first, count := 0, 0
	for at, i := range members {
		n := subs[i].Reference.Count()
		if count+n > size {
			all = append(all, members[first:at])
			first, count = at, 0
		}
		count += n
	}
	return append(all, members[first:])
}
