package goval

import (
	"fmt"
	"strings"
)

// EditDistance returns the number of edits that turn a into b. An edit inserts,
// deletes or replaces a letter, or swaps two adjacent letters.
func EditDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// nearest returns the known name that is closest to name, and its edit distance.
func nearest(name string, known []string) (closest string, distance int) {
	distance = len(name) + 64
	for _, k := range known {
		if d := EditDistance(strings.ToLower(name), k); d < distance {
			closest, distance = k, d
		}
	}
	return closest, distance
}

// DidYouMean returns a suffix for an error text, such as `; did you mean "x"?`.
// It returns "" if no known name is close to name.
func DidYouMean(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	closest, distance := nearest(name, known)
	if distance > max(1, min(len(name), len(closest))/3) {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", closest)
}

// Misspelt reports whether name is probably a misspelt known name: it is one edit away
// from a known name of at least five letters, or two edits away from a known name of at
// least eight letters.
func Misspelt(name string, known []string) bool {
	for _, k := range known {
		if len(name) > len(k)+2 {
			continue
		}
		d := EditDistance(name, k)
		if d == 1 && len(k) >= 5 || d == 2 && len(k) >= 8 {
			return true
		}
	}
	return false
}
