package ns

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A timeReader reads the parts of a time from a text.
type timeReader struct {
	rest string // not read yet

	year, month, day     int
	hour, minute, second int
	nanos                int
	halfDay              int            // 12-hour clock: 0 for AM, 12 for PM; only if hasHalfDay
	hasHalfDay, hour12   bool           // the layout has %p, %I
	offset               *time.Location // from %z; nil: the layout has none
	unix                 *int64         // from %s
}

// read reads one part of the layout.
func (r *timeReader) read(p layoutPart) error {
	switch p.directive {
	case 0:
		rest, ok := strings.CutPrefix(r.rest, p.text)
		if !ok {
			return fmt.Errorf("%q is expected at %q", p.text, r.rest)
		}
		r.rest = rest
		return nil
	case 'p':
		n, err := r.name([]string{"AM", "PM"})
		r.hasHalfDay, r.halfDay = true, 12*n
		return err
	case 'a', 'A':
		_, err := r.name(names(7, func(i int) string { return time.Weekday(i).String() }, p.directive == 'a'))
		return err
	case 'b', 'B':
		n, err := r.name(names(12, func(i int) string { return time.Month(i + 1).String() }, p.directive == 'b'))
		r.month = n + 1
		return err
	case 'z':
		return r.readOffset()
	case 's':
		return r.readUnix()
	}
	return r.readNumber(p.directive)
}

// readNumber reads a directive that is a number.
func (r *timeReader) readNumber(directive byte) (err error) {
	switch directive {
	case 'Y':
		r.year, err = r.number(4, 4, minYear, maxYear)
	case 'y':
		if r.year, err = r.number(2, 2, 0, 99); r.year < 69 { // as POSIX and package time have it
			r.year += 100
		}
		r.year += 1900
	case 'm':
		r.month, err = r.number(1, 2, 1, 12)
	case 'd':
		r.day, err = r.number(1, 2, 1, 31)
	case 'e':
		r.rest = strings.TrimLeft(r.rest, " ")
		r.day, err = r.number(1, 2, 1, 31)
	case 'H':
		r.hour, err = r.number(1, 2, 0, 23)
	case 'I':
		r.hour12 = true
		r.hour, err = r.number(1, 2, 1, 12)
	case 'M':
		r.minute, err = r.number(1, 2, 0, 59)
	case 'S':
		r.second, err = r.number(1, 2, 0, 59)
	case 'L':
		r.nanos, err = r.number(3, 3, 0, 999)
		r.nanos *= 1e6
	case 'f':
		r.nanos, err = r.number(6, 6, 0, 999_999)
		r.nanos *= 1e3
	}
	return err
}

// number reads a number of low to high with minDigits to maxDigits digits.
func (r *timeReader) number(minDigits, maxDigits, low, high int) (int, error) {
	n := 0
	for n < maxDigits && n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9' {
		n++
	}
	if n < minDigits {
		digits := strconv.Itoa(maxDigits)
		if minDigits < maxDigits {
			digits = fmt.Sprintf("%d to %d", minDigits, maxDigits)
		}
		return 0, fmt.Errorf("%s digits are expected at %q", digits, r.rest)
	}
	v, _ := strconv.Atoi(r.rest[:n]) // at most 6 digits
	if v < low || v > high {
		return 0, fmt.Errorf("%q is not a number from %d to %d", r.rest[:n], low, high)
	}
	r.rest = r.rest[n:]
	return v, nil
}

// names returns n names, or their first three letters.
func names(n int, name func(i int) string, short bool) []string {
	all := make([]string, n)
	for i := range all {
		if all[i] = name(i); short {
			all[i] = all[i][:3]
		}
	}
	return all
}

// name reads one of several names and returns its index. Upper and lower case do not
// matter.
func (r *timeReader) name(all []string) (int, error) {
	for i, name := range all {
		if len(r.rest) >= len(name) && strings.EqualFold(r.rest[:len(name)], name) {
			r.rest = r.rest[len(name):]
			return i, nil
		}
	}
	return 0, fmt.Errorf("one of %q is expected at %q", all, r.rest)
}

// readOffset reads an offset from UTC: Z, +01, +0100 or +01:00.
func (r *timeReader) readOffset() error {
	if rest, ok := strings.CutPrefix(r.rest, "Z"); ok {
		r.rest, r.offset = rest, time.UTC
		return nil
	}
	if r.rest == "" || r.rest[0] != '+' && r.rest[0] != '-' {
		return fmt.Errorf("an offset such as +0100 is expected at %q", r.rest)
	}
	negative := r.rest[0] == '-'
	r.rest = r.rest[1:]
	hours, err := r.number(2, 2, 0, 23)
	if err != nil {
		return err
	}
	minutes := 0
	rest, colon := strings.CutPrefix(r.rest, ":")
	if colon || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		r.rest = rest
		if minutes, err = r.number(2, 2, 0, 59); err != nil {
			return err
		}
	}
	seconds := (hours*60 + minutes) * 60
	if negative {
		seconds = -seconds
	}
	r.offset = time.FixedZone("", seconds)
	return nil
}

// readUnix reads the seconds since 1970.
func (r *timeReader) readUnix() error {
	text := r.rest
	if i := strings.IndexFunc(strings.TrimPrefix(text, "-"), func(c rune) bool { return c < '0' || c > '9' }); i >= 0 {
		text = text[:i+len(text)-len(strings.TrimPrefix(text, "-"))]
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < minTime.Unix() || n >= endTime.Unix() {
		return fmt.Errorf("a number of seconds since 1970, within the years %d to %d, is expected at %q", minYear, maxYear, r.rest)
	}
	r.rest, r.unix = r.rest[len(text):], &n
	return nil
}

// time returns the time of the parts.
func (r *timeReader) time(zone *time.Location) (time.Time, error) {
	if r.unix != nil {
		return time.Unix(*r.unix, int64(r.nanos)), nil
	}
	if r.offset != nil {
		zone = r.offset
	}
	switch {
	case r.hasHalfDay && !r.hour12:
		return time.Time{}, errors.New("the layout has %p, but not %I")
	case r.hour12 && !r.hasHalfDay:
		return time.Time{}, errors.New("the layout has %I, but not %p")
	case r.hour12:
		r.hour = r.hour%12 + r.halfDay
	}
	t := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, r.second, r.nanos, zone)
	if day := time.Date(r.year, time.Month(r.month), r.day, 0, 0, 0, 0, time.UTC); day.Day() != r.day {
		return t, fmt.Errorf("the month %04d-%02d has no day %d", r.year, r.month, r.day)
	}
	return t, nil
}
