package matcher

import "unicode/utf8"

// quoteMax is how many bytes of a client's text an error quotes.
const quoteMax = 64

// Shorten returns s in a form that an error can quote: at most 64 bytes.
func Shorten(s string) string { return ShortenTo(s, quoteMax) }

// ShortenTo returns s if it has at most bytesMax bytes. Otherwise it returns the
// start of s and three dots, together at most bytesMax bytes. It does not cut
// inside a character. bytesMax is at least 3.
func ShortenTo(s string, bytesMax int) string {
	const dots = "..."
	if len(s) <= bytesMax {
		return s
	}
	end := bytesMax - len(dots)
	for lowest := end - utf8.UTFMax + 1; end > max(lowest, 0) && !utf8.RuneStart(s[end]); {
		end--
	}
	return s[:end] + dots
}
