// Package units reads and writes sizes in bytes with a unit, such as "64MiB".
// The configuration and the tables of plugins use the same units.
package units

import (
	"fmt"
	"strconv"
	"strings"
)

// maxSize is the largest size that ParseSize returns, in bytes.
const maxSize = 1 << 62

// sizeUnits lists the powers of 1024 and then those of 1000, each from large to
// small. FormatSize uses only the first four.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

// ParseSize reads a decimal integer with an optional unit, and returns bytes.
// ok is false when text has another form, is negative or is larger than 2^62.
func ParseSize(text string) (bytes int64, ok bool) {
	unit := int64(1)
	for _, u := range sizeUnits {
		if number, found := strings.CutSuffix(text, u.name); found {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxSize/unit || n < 0 {
		return 0, false
	}
	return n * unit, true
}

// FormatSize writes bytes as an integer and the largest possible unit of KiB, MiB,
// GiB and TiB. ok is false if bytes is 0 or not a multiple of 1024.
func FormatSize(bytes int64) (text string, ok bool) {
	for _, u := range sizeUnits[:4] {
		if bytes != 0 && bytes%u.bytes == 0 {
			return fmt.Sprintf("%d%s", bytes/u.bytes, u.name), true
		}
	}
	return "", false
}
