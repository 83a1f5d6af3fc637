package vm

import (
	"math"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// A Clock determines the results of os.time, os.date and os.clock.
type Clock struct {
	Now     func() time.Time // nil: time.Now
	Zone    *time.Location   // zone of local times; nil: time.Local
	Started time.Time        // the time from which os.clock counts; zero: the start of the process
}

// processStart is the default of Clock.Started.
var processStart = time.Now()

// withDefaults returns c with defaults in its empty fields.
func (c Clock) withDefaults() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	if c.Started.IsZero() {
		c.Started = processStart
	}
	return c
}

// osLib returns the functions of os that scripts may use. They have the results of
// the reference interpreter on Linux in the C locale.
func osLib() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{"clock": osClock, "date": osDate, "difftime": osDifftime, "time": osTime}
}

func clockOf(l *glua.LState) Clock { return executionOf(l).state.time }

// osClock is os.clock. It returns elapsed seconds. C returns the processor time of
// the process, but here that includes the work of the whole server.
func osClock(l *glua.LState) int {
	t := clockOf(l)
	l.Push(glua.LNumber(t.Now().Sub(t.Started).Seconds()))
	return 1
}

func osDifftime(l *glua.LState) int {
	to, from := checkNumber(l, 1), 0.0
	if l.Get(2) != glua.LNil {
		from = checkNumber(l, 2)
	}
	l.Push(glua.LNumber(math.Trunc(to) - math.Trunc(from))) // C's times are whole seconds
	return 1
}

// directiveUnits is the work of one directive of os.date.
const directiveUnits = 8

// dateTableUnits is the work of making the table for the format "*t".
const dateTableUnits = 120

// osDate is os.date. It formats a time, or returns a table for the format "*t".
func osDate(l *glua.LState) int {
	format := "%c"
	if l.Get(1) != glua.LNil {
		format = checkText(l, 1)
	}
	executionOf(l).charge(l, 30)
	executionOf(l).reserveBytes(l, 2*len(format))      // the bytes of a result without directives
	if end := strings.IndexByte(format, 0); end >= 0 { // C strings end at the first zero byte
		format = format[:end]
	}
	clock := clockOf(l)
	seconds := clock.Now().Unix()
	if l.Get(2) != glua.LNil {
		seconds = toInt64(checkNumber(l, 2))
	}
	zone := clock.Zone
	if strings.HasPrefix(format, "!") {
		zone, format = utcZone, format[1:]
	}
	t, ok := civilOf(seconds, zone)
	switch {
	case !ok:
		l.Push(glua.LNil)
	case format == "*t":
		executionOf(l).charge(l, dateTableUnits)
		executionOf(l).countAllocated(tableBytes + stringMapBytes)
		l.Push(t.table(l))
	default:
		text := formatDate(l, format, t, clock.Zone)
		executionOf(l).countAllocated(6 * len(text)) // with the smaller buffers that append replaced; each is a quarter larger than the one before
		l.Push(glua.LString(text))
	}
	return 1
}

// formatDate replaces the directives of strftime in format. Unknown directives are
// not changed.
func formatDate(l *glua.LState, format string, t civil, local *time.Location) string {
	var b []byte
	ex := executionOf(l)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b = append(b, format[i])
			if len(b)%64 == 0 {
				ex.charge(l, 1)
			}
			continue
		}
		i++
		if format[i] == 's' {
			ex.charge(l, mktimeUnits)
		}
		b = t.appendDirective(b, format[i], local)
		ex.charge(l, directiveUnits)
		checkLength(l, len(b))
	}
	return string(b)
}

// osTime is os.time. It returns the current time, or the time that a table holds as
// local time. Fields may be out of their range: day 32 is in the next month.
func osTime(l *glua.LState) int {
	clock := clockOf(l)
	if l.Get(1) == glua.LNil {
		l.Push(glua.LNumber(clock.Now().Unix()))
		return 1
	}
	t := l.CheckTable(1)
	executionOf(l).charge(l, 7*chargedHops(t, glua.LString("isdst")))
	c := civil{
		second: dateField(l, t, "sec", 0), minute: dateField(l, t, "min", 0), hour: dateField(l, t, "hour", 12),
		day: dateField(l, t, "day", -1), month: dateField(l, t, "month", -1) - 1, year: dateField(l, t, "year", -1) - 1900,
		dst: unknownDST,
	}
	if v := l.GetField(t, "isdst"); v != glua.LNil {
		c.dst = noDST
		if glua.LVAsBool(v) {
			c.dst = isDST
		}
	}
	executionOf(l).charge(l, mktimeUnits)
	seconds, ok := c.unix(clock.Zone)
	if !ok || seconds == -1 { // C cannot tell this second from an error
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LNumber(seconds))
	return 1
}

// dateField reads a field of the table of os.time. If the field is missing, it
// returns other, or raises an error if other is -1. A number is truncated to 32
// bits, as in C.
func dateField(l *glua.LState, t *glua.LTable, name string, other int32) int32 {
	if n, ok := toNumber(l, l.GetField(t, name)); ok {
		return int32(toInt64(n)) //nolint:gosec // C wraps around
	}
	if other < 0 {
		l.RaiseError("field '%s' missing in date table", name)
	}
	return other
}
