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
	if err != nil {
		return 0, fmt.Errorf("%q is not an RFC 3339 time", shorten(s))
	}
	return TimeOf(t), nil
}

var relative = regexp.MustCompile(`^now-([0-9]{1,9})([smhdwMy])$`)

// ParseFilterTime reads RFC 3339 or `now-<n><s|m|h|d|w|M|y>` relative to now;
// M and y are calendar months and years.
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
		return TimeOf(now.AddDate(0, -n, 0)), nil
	case "y":
		return TimeOf(now.AddDate(-n, 0, 0)), nil
	default: // in milliseconds: a time.Duration would overflow at 292 years
		return TimeOf(now) - Time(int64(n)*units[m[2]]*1000), nil
	}
}

// String returns RFC 3339 in UTC with milliseconds.
func (t Time) String() string { return time.UnixMilli(int64(t)).UTC().Format(timeLayout) }

// AppendTo appends String to dst.
func (t Time) AppendTo(dst []byte) []byte {
	return time.UnixMilli(int64(t)).UTC().AppendFormat(dst, timeLayout)
}
