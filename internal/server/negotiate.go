package server

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

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
	for item := range strings.SplitSeq(header, ",") {
		media, parameters, _ := strings.Cut(item, ";")
		q := 1.0
		for p := range strings.SplitSeq(parameters, ";") {
			if value, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
				if parsed, err := strconv.ParseFloat(value, 64); err == nil {
					q = parsed
				}
			}
		}
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "*/*", "application/*", "application/json":
			offer(wire.JSON, q)
		case "application/msgpack", "application/x-msgpack":
			offer(wire.MessagePack, q)
		}
	}
	if quality == 0 {
		return wire.JSON, matcher.Errorf(matcher.CodeNotAcceptable, "header: Accept: must allow application/json or application/msgpack, got %q", matcher.Shorten(header))
	}
	return best, nil
}
