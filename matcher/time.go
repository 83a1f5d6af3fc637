package matcher

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Time is a point in time, in milliseconds since 1970-01-01T00:00:00Z.
type Time int64

// timeLayout is RFC 3339 in UTC with milliseconds, the form that clients get.
const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf truncates t to milliseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// The first and the last time that RFC 3339 can express in UTC.
var (
	TimeFirst = TimeOf(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))
	TimeLast  = TimeOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
)

// ParseTime reads RFC 3339 in any zone; digits below a millisecond are cut off. A
// leap second becomes the last millisecond before it. Times before the year 0 or
// after 9999 in UTC are refused, because RFC 3339 cannot express them.
func ParseTime(s string) (Time, error) {
	upper := upperTime(s)
	before, isLeap := beforeLeap(upper)
	t, err := time.Parse(time.RFC3339Nano, before)
	if err != nil || !isStrict(before) || isLeap && !endsMonth(t) {
		return 0, fmt.Errorf("must be an RFC 3339 time, got %q", Shorten(s))
	}
	if isLeap {
		t = t.Truncate(time.Second).Add(999 * time.Millisecond)
	}
	parsed := TimeOf(t)
	if parsed < TimeFirst || parsed > TimeLast {
		return 0, fmt.Errorf("must be in the years 0000 to 9999 in UTC, got %q", Shorten(s))
	}
	return parsed, nil
}

// upperTime returns s with the letters T and Z in upper case. RFC 3339 allows
// both cases, but time.Parse allows only upper case.
func upperTime(s string) string {
	if len(s) < len("2006-01-02t15:04:05z") || s[10] != 't' && s[len(s)-1] != 'z' {
		return s
	}
	b := []byte(s)
	if b[10] == 't' {
		b[10] = 'T'
	}
	if b[len(b)-1] == 'z' {
		b[len(b)-1] = 'Z'
	}
	return string(b)
}

// beforeLeap replaces second 60 of a leap second by second 59.
func beforeLeap(s string) (before string, isLeap bool) {
	const at = len("2006-01-02T15:04:")
	if len(s) <= at+2 || s[at-1:at+2] != ":60" {
		return s, false
	}
	return s[:at] + "59" + s[at+2:], true
}

// endsMonth reports whether a leap second may follow t. Leap seconds are inserted
// at the end of a month in UTC.
func endsMonth(t time.Time) bool {
	t = t.UTC()
	return t.Hour() == 23 && t.Minute() == 59 && t.AddDate(0, 0, 1).Day() == 1
}

// isStrict reports whether s, which time.Parse has accepted, is RFC 3339. time.Parse
// also accepts hours of one digit, a comma and zones that do not exist
// (https://go.dev/issue/54580).
func isStrict(s string) bool {
	zone := s[len(s)-5:]
	return s[13] == ':' && s[19] != ',' && (s[len(s)-1] == 'Z' || zone[:2] < "24" && zone[3:] < "60")
}

var relative = regexp.MustCompile(`^now-([0-9]{1,9})([smhdwMy])$`)

// ParseFilterTime reads RFC 3339 or `now-<n><s|m|h|d|w|M|y>` relative to now.
// M and y are calendar months and years: a month before 31 March is the last
// day of February.
func ParseFilterTime(s string, now time.Time) (Time, error) {
	m := relative.FindStringSubmatch(s)
	if m == nil {
		t, err := ParseTime(s)
		if err != nil {
			return 0, fmt.Errorf("%w; now-<n><s|m|h|d|w|M|y> is allowed too", err)
		}
		return t, nil
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	now = now.UTC()
	units := map[string]int64{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
	switch m[2] {
	case "M":
		return monthsBefore(now, n), nil
	case "y":
		return monthsBefore(now, 12*n), nil
	default: // in milliseconds: a time.Duration would overflow at 292 years
		return TimeOf(now) - Time(int64(n)*units[m[2]]*1000), nil
	}
}

// monthsBefore returns the time n calendar months before t. If that month is too
// short for the day, the result is on its last day.
func monthsBefore(t time.Time, n int) Time {
	const monthsMax = 12 * 1_000_000 // avoids overflow; the result is far before TimeFirst
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(0, -min(n, monthsMax), 0)
	last := first.AddDate(0, 1, -1).Day()
	return TimeOf(first.AddDate(0, 0, min(t.Day(), last)-1))
}

// String returns RFC 3339 in UTC with milliseconds. Filters relative to now and
// old databases can have times outside of TimeFirst to TimeLast; they become the
// nearest of these two.
func (t Time) String() string { return string(t.AppendTo(nil)) }

// AppendTo appends the result of String to dst.
func (t Time) AppendTo(dst []byte) []byte {
	t = min(max(t, TimeFirst), TimeLast)
	return time.UnixMilli(int64(t)).UTC().AppendFormat(dst, timeLayout)
}
