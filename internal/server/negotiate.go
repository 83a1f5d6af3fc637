package server

import (
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"

	"nearside/internal/coding"
	"nearside/matcher"
	"nearside/matcher/wire"
)

var requestIDForm = regexp.MustCompile(`^[0-9]{10},[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// requestID returns the ID that the client gave to the request, or a new one.
func requestID(c *requestContext, now time.Time) string {
	if given := string(c.Request.Header.Peek("Luna-Request-Id")); requestIDForm.MatchString(given) {
		return given
	}
	return newRequestID(now)
}

func newRequestID(now time.Time) string { return fmt.Sprintf("%010d,%s", now.Unix(), matcher.NewID()) }

// acceptedFormat returns the format of the answer by the header Accept: the format
// with the higher quality, or JSON if both are equal or the header is absent.
func acceptedFormat(header string) (wire.Format, error) {
	best, quality := wire.JSON, 0.0
	if header == "" {
		return best, nil
	}
	offer := func(f wire.Format, q float64) {
		if q > quality || q == quality && q > 0 && f == wire.JSON {
			best, quality = f, q
		}
	}
	for media, q := range qualities(header) {
		switch media {
		case "*/*", "application/*", "application/json":
			offer(wire.JSON, q)
		case "application/msgpack", "application/x-msgpack":
			offer(wire.MessagePack, q)
		}
	}
	if quality == 0 {
		return wire.JSON, notAcceptable("application/json or application/msgpack", header)
	}
	return best, nil
}

// notAcceptable returns the error of a header Accept that allows none of the formats.
func notAcceptable(formats, header string) *matcher.Error {
	return matcher.Errorf(matcher.CodeNotAcceptable, "header: Accept: must allow %s, got %q", formats, matcher.Shorten(header))
}

// acceptsLines reports whether the quality of lines in the header Accept is at least that of
// the other formats.
func acceptsLines(header string) bool {
	lines, others := 0.0, 0.0
	for media, q := range qualities(header) {
		switch media {
		case "application/x-ndjson":
			lines = max(lines, q)
		case "*/*", "application/*", "application/json", "application/msgpack", "application/x-msgpack":
			others = max(others, q)
		}
	}
	return lines > 0 && lines >= others
}

// qualities returns the names in a header such as Accept in lower case, and their quality
// values. The quality is 1 if it is not given or malformed.
func qualities(header string) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for item := range headerItems(header) {
			name, parameters, _ := strings.Cut(item, ";")
			q := 1.0
			for p := range strings.SplitSeq(parameters, ";") {
				if value, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
					if parsed, err := strconv.ParseFloat(value, 64); err == nil {
						q = parsed
					}
				}
			}
			if !yield(strings.ToLower(strings.TrimSpace(name)), q) {
				return
			}
		}
	}
}

// headerItems returns the items of a header that is a list, without empty ones.
func headerItems(header string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for item := range strings.SplitSeq(header, ",") {
			if item = strings.TrimSpace(item); item != "" && !yield(item) {
				return
			}
		}
	}
}

// acceptedCoding returns the coding of large answers by the header Accept-Encoding: the
// one with the highest quality. If qualities are equal, zstd comes before gzip, because it
// is faster, and both come before identity. The header cannot forbid identity, which is
// used for small answers.
func acceptedCoding(header string) coding.Coding {
	if header == "" {
		return coding.Identity
	}
	const unset = -1
	given := [...]float64{coding.Identity: unset, coding.Gzip: unset, coding.Zstd: unset}
	others := 0.0 // the quality of "*"
	for name, q := range qualities(header) {
		if c, ok := coding.Parse(name); ok {
			given[c] = q
		} else if name == "*" {
			others = q
		}
	}
	best, quality := coding.Identity, max(given[coding.Identity], 0)
	for _, c := range []coding.Coding{coding.Gzip, coding.Zstd} {
		q := given[c]
		if q == unset {
			q = others
		}
		if q > 0 && q >= quality {
			best, quality = c, q
		}
	}
	return best
}
