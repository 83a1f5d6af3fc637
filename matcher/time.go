package matcher

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Time is a moment in milliseconds since 1970-01-01T00:00:00Z.
type Time int64

// timeLayout is RFC 3339 in UTC with milliseconds, the form that clients get.
const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf cuts t to milliseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// ParseTime reads RFC 3339 in any zone; digits below a millisecond are cut.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !isStrict(s) {
		return 0, fmt.Errorf("%q is not an RFC 3339 time", shorten(s))
	}
	return TimeOf(t), nil
}

// isStrict reports whether s, which time.Parse took for RFC 3339, is that: it
// also takes hours of one digit, a comma and zones that do not exist
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
			return 0, fmt.Errorf("%q is neither an RFC 3339 time nor now-<n><s|m|h|d|w|M|y>", shorten(s))
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

// monthsBefore returns the moment n months before t; a day that its month does
// not have becomes the last one.
func monthsBefore(t time.Time, n int) Time {
	const most = 12 * 1_000_000 // before all that can be written, and no overflow
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(0, -min(n, most), 0)
	last := first.AddDate(0, 1, -1).Day()
	return TimeOf(first.AddDate(0, 0, min(t.Day(), last)-1))
}

// String returns RFC 3339 in UTC with milliseconds.
func (t Time) String() string { return time.UnixMilli(int64(t)).UTC().Format(timeLayout) }

// AppendTo appends String to dst.
func (t Time) AppendTo(dst []byte) []byte {
	return time.UnixMilli(int64(t)).UTC().AppendFormat(dst, timeLayout)
}
