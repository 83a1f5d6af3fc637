package vm

import (
	"math"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// A Time tells a state what os.time, os.date and os.clock return.
type Time struct {
	Now     func() time.Time // nil: time.Now
	Zone    *time.Location   // of local times; nil: time.Local
	Started time.Time        // os.clock counts seconds from here; zero: the start of the process
}

// processStart is where os.clock counts from.
var processStart = time.Now()

func (t Time) filled() Time {
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.Zone == nil {
		t.Zone = time.Local
	}
	if t.Started.IsZero() {
		t.Started = processStart
	}
	return t
}

// osLib is the part of os that scripts may use. The functions return what the
// reference interpreter returns on Linux in the C locale.
func osLib() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{"clock": osClock, "date": osDate, "difftime": osDifftime, "time": osTime}
}

func timeOf(l *glua.LState) Time { return taskOf(l).state.time }

// osClock returns elapsed seconds. The processor time of the process, which C
// returns, includes the work of the whole server.
func osClock(l *glua.LState) int {
	t := timeOf(l)
	l.Push(glua.LNumber(t.Now().Sub(t.Started).Seconds()))
	return 1
}

func osDifftime(l *glua.LState) int {
	to, from := checkNumber(l, 1), 0.0
	if l.Get(2) != glua.LNil {
		from = checkNumber(l, 2)
	}
	l.Push(glua.LNumber(to - from))
	return 1
}

// dateCost is the work of one directive, in instructions.
const dateCost = 8

// osDate formats a time, or returns its fields for the format "*t".
func osDate(l *glua.LState) int {
	format := "%c"
	if l.Get(1) != glua.LNil {
		format = checkText(l, 1)
	}
	taskOf(l).charge(l, 10)
	taskOf(l).reserve(l, 2*len(format))                // what the result takes for plain text
	if end := strings.IndexByte(format, 0); end >= 0 { // as C strings end
		format = format[:end]
	}
	clock := timeOf(l)
	seconds := clock.Now().Unix()
	if l.Get(2) != glua.LNil {
		seconds = cInt64(checkNumber(l, 2))
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
		l.Push(t.table(l))
	default:
		text := formatDate(l, format, t, clock.Zone)
		taskOf(l).allocated(6 * len(text)) // and while it grew, by a quarter at a time
		l.Push(glua.LString(text))
	}
	return 1
}

// formatDate applies the directives of strftime. A directive that does not
// exist stays as it is.
func formatDate(l *glua.LState, format string, t civil, local *time.Location) string {
	var b []byte
	task := taskOf(l)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b = append(b, format[i])
			if len(b)%64 == 0 {
				task.charge(l, 1)
			}
			continue
		}
		i++
		if format[i] == 's' {
			task.charge(l, searchCost)
		}
		b = t.appendDirective(b, format[i], local)
		task.charge(l, dateCost)
		checkLength(l, len(b))
	}
	return string(b)
}

// osTime returns the current time, or the time of a table in the local zone.
// Fields out of their range count on: day 32 is in the next month.
func osTime(l *glua.LState) int {
	clock := timeOf(l)
	if l.Get(1) == glua.LNil {
		l.Push(glua.LNumber(clock.Now().Unix()))
		return 1
	}
	t := l.CheckTable(1)
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
	taskOf(l).charge(l, searchCost)
	seconds, ok := c.unix(clock.Zone)
	if !ok || seconds == -1 { // C cannot tell this second from an error
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LNumber(seconds))
	return 1
}

// dateField reads a field of the table of os.time; a field without a default
// (-1) has to be there.
func dateField(l *glua.LState, t *glua.LTable, name string, other int32) int32 {
	if n, ok := toNumber(l, l.GetField(t, name)); ok {
		return int32(cInt64(n))
	}
	if other < 0 {
		l.RaiseError("field '%s' missing in date table", name)
	}
	return other
}

// cInt64 converts as C does on amd64: what does not fit becomes the lowest.
func cInt64(f float64) int64 {
	if !(f >= math.MinInt64 && f < math.MaxInt64) {
		return math.MinInt64
	}
	return int64(f)
}
