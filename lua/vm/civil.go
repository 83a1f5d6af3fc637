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

// civil is C's struct tm: year counts from 1900, month, weekday and yearday
// from 0.
type civil struct {
	second, minute, hour, day, month, year int32
	weekday, yearday                       int
	dst                                    int
	offset                                 int // seconds east of UTC
	zone                                   string
}

// utcZone is UTC by the name that strftime gives it.
var utcZone = time.FixedZone("GMT", 0)

// civilMost bounds the times whose year can fit into 32 bits, in seconds.
const civilMost = 1 << 56

// civilOf is C's localtime. ok is false when the year does not fit.
func civilOf(seconds int64, zone *time.Location) (c civil, ok bool) {
	if seconds > civilMost || seconds < -civilMost {
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

// table is what os.date("*t") returns.
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

// searchCost is the work of unix at most, in instructions.
const searchCost = 256

// unix is C's mktime: fields may be out of their range. A time that happens
// twice is the first of them. One that is skipped counts on from the time
// before the gap.
func (c civil) unix(zone *time.Location) (seconds int64, ok bool) {
	month, year := int64(c.month), int64(c.year)+1900
	year += floorDiv(month, 12)
	month -= floorDiv(month, 12) * 12
	local := (daysBefore(year, month) + int64(c.day) - 1) * 86400
	local += int64(c.hour)*3600 + int64(c.minute)*60 + int64(c.second)
	if local > civilMost || local < -civilMost {
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

// otherDST returns local by the offset of the nearest time that has the wanted
// DST, or by one hour where there is none near: this is glibc's rule.
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

// daysBefore counts the days from 1970 to the first of a month (0 to 11).
func daysBefore(year, month int64) int64 {
	lengths := [...]int64{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334}
	days := lengths[month]
	if leap := year%4 == 0 && (year%100 != 0 || year%400 == 0); leap && month > 1 {
		days++
	}
	y := year - 1 // whole years up to this one
	return days + y*365 + floorDiv(y, 4) - floorDiv(y, 100) + floorDiv(y, 400) - 719162
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendDirective appends what strftime makes of %name in the C locale. local
// is the zone that %s reads the fields in.
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
		return fmt.Appendf(b, f.format, f.get(&c))
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
	if word := c.word(name); word != "" {
		return append(b, word...)
	}
	return append(b, '%', name)
}

// word returns the text of a directive that is one, or "".
func (c civil) word(name byte) string {
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

var compositeDirectives = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'R': "%H:%M",
	'r': "%I:%M:%S %p", 'T': "%H:%M:%S", 'X': "%H:%M:%S", 'x': "%m/%d/%y",
}

type numberDirective struct {
	format string
	get    func(c *civil) int64
}

var numberDirectives = map[byte]numberDirective{
	'C': {"%d", func(c *civil) int64 { return floorDiv(int64(c.year)+1900, 100) }},
	'd': {"%02d", func(c *civil) int64 { return int64(c.day) }},
	'e': {"%2d", func(c *civil) int64 { return int64(c.day) }},
	'G': {"%d", func(c *civil) int64 { year, _ := c.isoWeek(); return year }},
	'g': {"%02d", func(c *civil) int64 { year, _ := c.isoWeek(); return year - floorDiv(year, 100)*100 }},
	'H': {"%02d", func(c *civil) int64 { return int64(c.hour) }},
	'I': {"%02d", func(c *civil) int64 { return int64(c.hour+11)%12 + 1 }},
	'j': {"%03d", func(c *civil) int64 { return int64(c.yearday) + 1 }},
	'k': {"%2d", func(c *civil) int64 { return int64(c.hour) }},
	'l': {"%2d", func(c *civil) int64 { return int64(c.hour+11)%12 + 1 }},
	'M': {"%02d", func(c *civil) int64 { return int64(c.minute) }},
	'm': {"%02d", func(c *civil) int64 { return int64(c.month) + 1 }},
	'S': {"%02d", func(c *civil) int64 { return int64(c.second) }},
	'U': {"%02d", func(c *civil) int64 { return int64(c.yearday-c.weekday+7) / 7 }},
	'u': {"%d", func(c *civil) int64 { return int64(c.weekday+6)%7 + 1 }},
	'V': {"%02d", func(c *civil) int64 { _, week := c.isoWeek(); return week }},
	'W': {"%02d", func(c *civil) int64 { return int64(c.yearday-(c.weekday+6)%7+7) / 7 }},
	'w': {"%d", func(c *civil) int64 { return int64(c.weekday) }},
	'Y': {"%d", func(c *civil) int64 { return int64(c.year) + 1900 }},
	'y': {"%02d", func(c *civil) int64 { year := int64(c.year); return year - floorDiv(year, 100)*100 }},
}

// isoWeek returns the week of ISO 8601 and the year that it belongs to.
func (c *civil) isoWeek() (year, week int64) {
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
