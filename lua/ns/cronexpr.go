package ns

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A cronExpr is the times of a cron expression with five fields. It is immutable.
type cronExpr struct {
	minutes, hours, days, months, weekdays uint64 // bit n: the value n is allowed
	anyDay, anyWeekday                     bool   // the field begins with * or is ?
}

// cronNames are the names that stand for whole expressions.
var cronNames = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// A cronField is one of the five fields.
type cronField struct {
	name      string
	low, high int
	last      int      // of *, and of a range without an end
	names     []string // of the values from low, in lower case; nil: none
	question  bool     // whether ? is allowed, which means *
}

var cronFields = [5]cronField{
	{"minute", 0, 59, 59, nil, false},
	{"hour", 0, 23, 23, nil, false},
	{"day of the month", 1, 31, 31, nil, true},
	{"month", 1, 12, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}, false},
	{"day of the week", 0, 7, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, true},
}

// parseCron reads an expression such as "0 3 * * mon-fri".
func parseCron(text string) (cronExpr, error) {
	var e cronExpr
	full := text
	if strings.HasPrefix(text, "@") {
		full = cronNames[text]
	}
	fields := strings.Fields(full)
	if len(fields) != len(cronFields) {
		return e, fmt.Errorf("%q must have five fields (minute, hour, day, month, day of the week), or be one of @hourly, @daily, @weekly, @monthly, @yearly", cutText(text, 64))
	}
	sets := [5]*uint64{&e.minutes, &e.hours, &e.days, &e.months, &e.weekdays}
	for i, f := range cronFields {
		bits, err := f.parse(fields[i])
		if err != nil {
			return e, fmt.Errorf("%q: %s: %w", cutText(text, 64), f.name, err)
		}
		*sets[i] = bits
	}
	e.weekdays |= e.weekdays >> 7 & 1 // 7 is Sunday, too
	e.anyDay, e.anyWeekday = isWildcard(fields[2]), isWildcard(fields[4])
	if e.next(time.Unix(0, 0), time.UTC).IsZero() {
		return e, fmt.Errorf("%q: no month has such a day", cutText(text, 64))
	}
	return e, nil
}

// isWildcard reports whether a field of days does not restrict the days, so that only the
// other one does. If both restrict, a day must be in one of them.
func isWildcard(field string) bool { return strings.HasPrefix(field, "*") || field == "?" }

// parse reads a field: values, ranges and steps, separated by commas.
func (f cronField) parse(text string) (bits uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, hasStep := strings.Cut(part, "/")
		low, high, err := f.span(span, hasStep)
		if err != nil {
			return 0, err
		}
		step := 1
		if hasStep {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.high {
				return 0, fmt.Errorf("the step %q is not a number from 1 to %d", stepText, f.high)
			}
		}
		for v := low; v <= high; v += step {
			bits |= 1 << v
		}
	}
	return bits, nil
}

// span reads *, a value or a range. A value with a step is the range that begins there.
func (f cronField) span(text string, hasStep bool) (low, high int, err error) {
	if text == "*" || text == "?" && f.question {
		return f.low, f.last, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if low, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch high = low; {
	case isRange:
		if high, err = f.value(last); err == nil && high < low {
			err = fmt.Errorf("the range %q ends before it begins", text)
		}
	case hasStep:
		high = max(low, f.last)
	}
	return low, high, err
}

// value reads a number or a name.
func (f cronField) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high || len(text) > 2 || text[0] == '+' {
		return 0, errors.New(f.want(text))
	}
	return n, nil
}

func (f cronField) want(text string) string {
	s := fmt.Sprintf("%q is not a number from %d to %d", cutText(text, 32), f.low, f.high)
	if f.names != nil {
		s += ", or one of " + strings.Join(f.names, ", ")
	}
	return s
}

// cronYears is how far next looks ahead. Without 29 February of 2100, eight years lie
// between two such days.
const cronYears = 9

// next returns the first time of the expression after t, or the zero time if there is none
// within cronYears. Times are those of clocks in the zone. A time that clocks skip is the
// moment after the skipped hour; a time that clocks show twice is the first of the two.
// But if every hour is allowed, the expression follows real time, and a repeated hour
// counts twice.
func (e *cronExpr) next(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	y, m, d := t.Date()
	for day := time.Date(y, m, d, 12, 0, 0, 0, time.UTC); day.Year() <= y+cronYears; day = day.AddDate(0, 0, 1) {
		if !e.allowsDay(day) {
			continue
		}
		at := e.nextOfDay(day, t, zone)
		if !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// everyHour has the bits of all hours.
const everyHour = 1<<24 - 1

// nextOfDay returns the first time of a day after t, or the zero time.
func (e *cronExpr) nextOfDay(day, t time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	if e.hours == everyHour {
		return e.nextMinute(firstMoment(y, m, d, 0, 0, zone), firstMoment(y, m, d+1, 0, 0, zone), t)
	}
	for hour := range 24 {
		if e.hours>>hour&1 == 0 || !firstMoment(y, m, d, hour, 59, zone).After(t) {
			continue
		}
		for minute := range 60 {
			if e.minutes>>minute&1 == 0 {
				continue
			}
			if at := firstMoment(y, m, d, hour, minute, zone); at.After(t) {
				return at // later times of clocks are never earlier moments
			}
		}
	}
	return time.Time{}
}

// nextMinute returns the first allowed minute after t from begin until end, by real time.
func (e *cronExpr) nextMinute(begin, end, t time.Time) time.Time {
	at := begin
	if t.After(at) {
		at = t.Truncate(time.Minute)
	}
	for ; at.Before(end); at = at.Add(time.Minute) {
		if at.After(t) && e.minutes>>at.Minute()&1 == 1 {
			return at
		}
	}
	return time.Time{}
}

// allowsDay reports whether the expression has times on the day of t.
func (e *cronExpr) allowsDay(t time.Time) bool {
	if e.months>>int(t.Month())&1 == 0 {
		return false
	}
	day, weekday := e.days>>t.Day()&1 == 1, e.weekdays>>int(t.Weekday())&1 == 1
	if e.anyDay || e.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

// firstMoment returns the first moment at which clocks in the zone show this time or, if
// they skip it, the moment after the skipped time.
func firstMoment(y int, m time.Month, d, hour, minute int, zone *time.Location) time.Time {
	want := time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
	at := time.Date(y, m, d, hour, minute, 0, 0, zone)
	shown := func(t time.Time) time.Time { // the clock at t, as if it were UTC
		_, offset := t.Zone()
		return time.Unix(t.Unix()+int64(offset), 0).UTC()
	}
	begin, end := at.ZoneBounds()
	switch {
	case shown(at).Before(want):
		return end.In(zone)
	case shown(at).After(want):
		return begin.In(zone)
	case begin.IsZero():
		return at
	}
	_, before := begin.Add(-time.Second).In(zone).Zone()
	_, now := at.Zone()
	if earlier := at.Add(time.Duration(now-before) * time.Second); earlier.Before(begin) && shown(earlier.In(zone)).Equal(want) {
		return earlier.In(zone)
	}
	return at
}
