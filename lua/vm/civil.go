package vm

import (
	"fmt"
	"math"
	"strconv"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// Values of civil.dst.
const (
	unknownDST = -1
	noDST      = 0
	isDST      = 1
)

// civil is C's struct tm. year counts from 1900; month, weekday and yearday count
// from 0.
type civil struct {
	second, minute, hour, day, month, year int32
	weekday, yearday                       int
	dst                                    int
	offset                                 int // seconds east of UTC
	zone                                   string
}

// utcZone is UTC with the name that strftime prints.
var utcZone = time.FixedZone("GMT", 0)

// maxCivil bounds times in seconds: the year of a time beyond it does not fit
// into 32 bits.
const maxCivil = 1 << 56

// civilOf converts seconds since 1970 as C's localtime does. ok is false if the
// year does not fit into 32 bits.
func civilOf(seconds int64, zone *time.Location) (c civil, ok bool) {
	if seconds > maxCivil || seconds < -maxCivil {
		return c, false
	}
	t := time.Unix(seconds, 0).In(zone)
	year := t.Year() - 1900
	if year > math.MaxInt32 || year < math.MinInt32 {
		return c, false
	}
	c = civil{
		second: int32(t.Second()), minute: int32(t.Minute()), hour: int32(t.Hour()),
		day: int32(t.Day()), month: int32(t.Month()) - 1, year: int32(year),
		weekday: int(t.Weekday()), yearday: t.YearDay() - 1, dst: noDST,
	}
	c.zone, c.offset = t.Zone()
	if t.IsDST() {
		c.dst = isDST
	}
	return c, true
}

// table returns the table that os.date("*t") returns.
func (c civil) table(l *glua.LState) *glua.LTable {
	t := l.CreateTable(0, 9)
	for name, n := range map[string]int{
		"sec": int(c.second), "min": int(c.minute), "hour": int(c.hour), "day": int(c.day),
		"month": int(c.month) + 1, "year": int(c.year) + 1900, "wday": c.weekday + 1, "yday": c.yearday + 1,
	} {
		t.RawSetString(name, glua.LNumber(n))
	}
	t.RawSetString("isdst", glua.LBool(c.dst == isDST))
	return t
}

// mktimeUnits is the maximum work of unix.
const mktimeUnits = 400

// unix converts to seconds since 1970 as C's mktime does. Fields may be out of
// their range. If the local time occurs twice, the result is the first
// occurrence. If a DST change skips the local time, the offset before the change
// is used. ok is false if the year does not fit into 32 bits.
func (c civil) unix(zone *time.Location) (seconds int64, ok bool) {
	month, year := int64(c.month), int64(c.year)+1900
	year += floorDiv(month, 12)
	month -= floorDiv(month, 12) * 12
	local := (daysBefore(year, month) + int64(c.day) - 1) * 86400
	local += int64(c.hour)*3600 + int64(c.minute)*60 + int64(c.second)
	if local > maxCivil || local < -maxCivil {
		return 0, false
	}
	at := func(seconds int64) (offset int64, dst int) {
		t := time.Unix(seconds, 0).In(zone)
		_, east := t.Zone()
		if t.IsDST() {
			return int64(east), isDST
		}
		return int64(east), noDST
	}
	before, _ := at(local - 86400)
	after, _ := at(local + 86400)
	seconds = local - before
	for _, offset := range []int64{before, after} {
		if east, dst := at(local - offset); east == offset && (c.dst == unknownDST || c.dst == dst) {
			seconds = local - offset
			break
		} else if east == offset {
			seconds = local - offset
		}
	}
	if _, dst := at(seconds); c.dst != unknownDST && c.dst != dst {
		seconds = c.otherDST(local, seconds, at)
	}
	_, ok = civilOf(seconds, zone)
	return seconds, ok
}

// otherDST follows glibc's rule for a time whose DST differs from c.dst. It
// converts local with the offset of the nearest time that has the DST of c. If
// there is no such time nearby, it moves seconds by one hour.
func (c civil) otherDST(local, seconds int64, at func(int64) (int64, int)) int64 {
	const stride, bound = 601200, 536454000/2 + 601200
	for delta := int64(stride); delta < bound; delta += stride {
		for _, near := range []int64{seconds - delta, seconds + delta} {
			if offset, dst := at(near); dst == c.dst {
				return local - offset
			}
		}
	}
	if c.dst == isDST {
		return seconds - 3600
	}
	return seconds + 3600
}

// daysBefore returns the days from 1970-01-01 to the first day of a month (0 to
// 11).
func daysBefore(year, month int64) int64 {
	lengths := [...]int64{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334}
	days := lengths[month]
	if leap := year%4 == 0 && (year%100 != 0 || year%400 == 0); leap && month > 1 {
		days++
	}
	y := year - 1 // the last year that has ended
	return days + y*365 + floorDiv(y, 4) - floorDiv(y, 100) + floorDiv(y, 400) - 719162
}

// floorDiv returns a/b, rounded down. b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendDirective appends the text that strftime prints for %name in the C
// locale. local is the zone of the fields for %s.
func (c civil) appendDirective(b []byte, name byte, local *time.Location) []byte {
	if expanded, ok := compositeDirectives[name]; ok {
		for i := 0; i < len(expanded); i++ {
			if expanded[i] == '%' {
				i++
				b = c.appendDirective(b, expanded[i], local)
			} else {
				b = append(b, expanded[i])
			}
		}
		return b
	}
	if f, ok := numberDirectives[name]; ok {
		return fmt.Appendf(b, f.format, f.get(c))
	}
	switch name {
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case '%':
		return append(b, '%')
	case 's':
		seconds, ok := c.unix(local)
		if !ok {
			seconds = -1
		}
		return strconv.AppendInt(b, seconds, 10)
	case 'Z':
		return append(b, c.zone...)
	case 'z':
		sign, minutes := '+', c.offset/60
		if c.offset < 0 {
			sign, minutes = '-', -minutes
		}
		return fmt.Appendf(b, "%c%02d%02d", sign, minutes/60, minutes%60)
	case '3', '4', '5', '6', '7', '8', '9': // a width without a directive
		return fmt.Appendf(b, "%*s", int(name-'0'), "%"+string(name))
	}
	if word := c.textDirective(name); word != "" {
		return append(b, word...)
	}
	return append(b, '%', name)
}

// textDirective returns the text of a directive that prints a word, or "" for any
// other directive.
func (c civil) textDirective(name byte) string {
	switch name {
	case 'A':
		return time.Weekday(c.weekday).String()
	case 'a':
		return time.Weekday(c.weekday).String()[:3]
	case 'B':
		return time.Month(c.month + 1).String()
	case 'b', 'h':
		return time.Month(c.month + 1).String()[:3]
	case 'p':
		return [...]string{"AM", "PM"}[c.hour/12]
	case 'P':
		return [...]string{"am", "pm"}[c.hour/12]
	}
	return ""
}

// compositeDirectives are the directives that are short for others.
var compositeDirectives = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'R': "%H:%M",
	'r': "%I:%M:%S %p", 'T': "%H:%M:%S", 'X': "%H:%M:%S", 'x': "%m/%d/%y",
}

// A numberDirective is a directive that prints a number.
type numberDirective struct {
	format string
	get    func(c civil) int64
}

var numberDirectives = map[byte]numberDirective{
	'C': {"%d", func(c civil) int64 { return floorDiv(int64(c.year)+1900, 100) }},
	'd': {"%02d", func(c civil) int64 { return int64(c.day) }},
	'e': {"%2d", func(c civil) int64 { return int64(c.day) }},
	'G': {"%d", func(c civil) int64 { year, _ := c.isoWeek(); return year }},
	'g': {"%02d", func(c civil) int64 { year, _ := c.isoWeek(); return year - floorDiv(year, 100)*100 }},
	'H': {"%02d", func(c civil) int64 { return int64(c.hour) }},
	'I': {"%02d", func(c civil) int64 { return int64(c.hour+11)%12 + 1 }},
	'j': {"%03d", func(c civil) int64 { return int64(c.yearday) + 1 }},
	'k': {"%2d", func(c civil) int64 { return int64(c.hour) }},
	'l': {"%2d", func(c civil) int64 { return int64(c.hour+11)%12 + 1 }},
	'M': {"%02d", func(c civil) int64 { return int64(c.minute) }},
	'm': {"%02d", func(c civil) int64 { return int64(c.month) + 1 }},
	'S': {"%02d", func(c civil) int64 { return int64(c.second) }},
	'U': {"%02d", func(c civil) int64 { return int64(c.yearday-c.weekday+7) / 7 }},
	'u': {"%d", func(c civil) int64 { return int64(c.weekday+6)%7 + 1 }},
	'V': {"%02d", func(c civil) int64 { _, week := c.isoWeek(); return week }},
	'W': {"%02d", func(c civil) int64 { return int64(c.yearday-(c.weekday+6)%7+7) / 7 }},
	'w': {"%d", func(c civil) int64 { return int64(c.weekday) }},
	'Y': {"%d", func(c civil) int64 { return int64(c.year) + 1900 }},
	'y': {"%02d", func(c civil) int64 { year := int64(c.year); return year - floorDiv(year, 100)*100 }},
}

// isoWeek returns the week number of ISO 8601 and the year of that week.
func (c civil) isoWeek() (year, week int64) {
	days := daysBefore(int64(c.year)+1900, 0) + int64(c.yearday)
	thursday := days - int64(c.weekday+6)%7 + 3
	year = int64(c.year) + 1900
	for _, y := range []int64{year + 1, year, year - 1} {
		if first := daysBefore(y, 0); thursday >= first {
			return y, (thursday-first)/7 + 1
		}
	}
	return year, 0 // unreachable: the Thursday is in one of the three years
}
