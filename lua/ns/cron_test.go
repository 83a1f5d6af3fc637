package ns

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// cronModel is the model of an expression: a set of allowed values for each field.
type cronModel struct {
	text   string
	fields [5]map[int]bool
	any    [5]bool // the field is *
}

// randomCron returns a random expression with its model.
func randomCron(r *rand.Rand) cronModel {
	low, high := [5]int{0, 0, 1, 1, 0}, [5]int{59, 23, 31, 12, 6}
	var m cronModel
	var texts []string
	for i := range m.fields {
		m.fields[i] = map[int]bool{}
		add := func(from, to, step int) {
			for v := from; v <= to; v += step {
				m.fields[i][v] = true
			}
		}
		a, b := low[i]+r.IntN(high[i]-low[i]+1), low[i]+r.IntN(high[i]-low[i]+1)
		a, b = min(a, b), max(a, b)
		var text string
		switch r.IntN(6) {
		case 0:
			text = fmt.Sprintf("%d,%d", b, a)
			add(a, a, 1)
			add(b, b, 1)
		case 1:
			text = fmt.Sprintf("%d-%d", a, b)
			add(a, b, 1)
		case 2:
			step := 1 + r.IntN(6)
			text = fmt.Sprintf("%d-%d/%d", a, b, step)
			add(a, b, step)
		case 3:
			text = fmt.Sprintf("%d/%d", a, 2)
			add(a, high[i], 2)
		default:
			text, m.any[i] = "*", true
			add(low[i], high[i], 1)
		}
		texts = append(texts, text)
	}
	m.text = strings.Join(texts, " ")
	return m
}

// matches reports whether clocks that show t are at a time of the expression.
func (m *cronModel) matches(t time.Time) bool {
	day, weekday := m.fields[2][t.Day()], m.fields[4][int(t.Weekday())]
	days := day && weekday
	if !m.any[2] && !m.any[4] {
		days = day || weekday
	}
	return m.fields[0][t.Minute()] && m.fields[1][t.Hour()] && m.fields[3][int(t.Month())] && days
}

// times returns the times of the expression from begin until end, minute by minute.
func (m *cronModel) times(begin, end time.Time, zone *time.Location) (all []time.Time) {
	const minute = "2006-01-02 15:04"
	shown, last := map[string]bool{}, begin.Add(-3*time.Hour).In(zone) // times of clocks that have been shown
	for t := last; t.Before(end); t = t.Add(time.Minute) {
		local := t.In(zone)
		match := m.matches(local) && (m.any[1] || !shown[local.Format(minute)])
		if !m.any[1] { // times that clocks have skipped since the last minute
			wall, before := asUTC(local), asUTC(last)
			for skipped := before.Add(time.Minute); skipped.Before(wall); skipped = skipped.Add(time.Minute) {
				match = match || m.matches(skipped)
			}
		}
		if match && t.After(begin) {
			all = append(all, t)
		}
		shown[local.Format(minute)], last = true, local
	}
	return all
}

// asUTC returns what clocks show at t, as if it were UTC.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// TestCronTimes compares random expressions with a model that looks at every minute, around
// the days on which clocks change.
func TestCronTimes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	changes := map[string][]string{
		"UTC": {"2028-02-28T00:00:00Z"}, "Europe/Berlin": {"2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"},
		"America/New_York": {"2026-03-07T12:00:00Z", "2026-10-31T12:00:00Z"}, "Australia/Lord_Howe": {"2026-04-04T00:00:00Z", "2026-10-03T00:00:00Z"},
		"America/Havana": {"2026-03-07T12:00:00Z", "2026-10-31T12:00:00Z"}, // clocks change at midnight
	}
	found := 0
	for name, begins := range changes {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			m := randomCron(r)
			e, err := parseCron(m.text)
			if err != nil {
				if !strings.Contains(err.Error(), "no month has such a day") {
					t.Fatal(err)
				}
				continue
			}
			for _, begin := range begins {
				from, err := time.Parse(time.RFC3339, begin)
				if err != nil {
					t.Fatal(err)
				}
				to := from.Add(60 * time.Hour)
				var got []time.Time
				for at := e.next(from, zone); !at.IsZero() && at.Before(to); at = e.next(at, zone) {
					got = append(got, at)
				}
				want := m.times(from, to, zone)
				if len(got) != len(want) {
					t.Fatalf("%s in %s from %s: %d times, want %d", m.text, name, begin, len(got), len(want))
				}
				for i := range want {
					if !got[i].Equal(want[i]) {
						t.Fatalf("%s in %s: %v, want %v", m.text, name, got[i], want[i].In(zone))
					}
				}
				found += len(want)
			}
		}
	}
	if found < 3_000 {
		t.Errorf("only %d times were compared", found)
	}
}

func TestCronExpressions(t *testing.T) {
	next := func(text, from, want string) {
		t.Helper()
		e, err := parseCron(text)
		if err != nil {
			t.Error(err)
			return
		}
		at, err := time.Parse("2006-01-02 15:04", from)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.next(at, time.UTC).Format("2006-01-02 15:04"); got != want {
			t.Errorf("%s after %s: %s, want %s", text, from, got, want)
		}
	}
	next("0 3 * * *", "2026-01-01 03:00", "2026-01-02 03:00")
	next("0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00")
	next("0 0 * feb mon-FRI", "2026-01-01 00:00", "2026-02-02 00:00")
	next("0 0 * * 7", "2026-01-01 00:00", "2026-01-04 00:00")
	next("0 0 13 * 5", "2026-01-01 00:00", "2026-01-02 00:00")   // a Friday or a 13th
	next("0 0 */13 * 5", "2026-01-01 00:00", "2026-02-27 00:00") // both, because the day begins with *
	next("0 0 13 * ?", "2026-01-01 00:00", "2026-01-13 00:00")
	next("@yearly", "2026-01-01 00:00", "2027-01-01 00:00")
	next("@hourly", "2026-01-01 00:30", "2026-01-01 01:00")
	fails := func(text, want string) {
		t.Helper()
		if _, err := parseCron(text); err == nil || !strings.Contains(err.Error(), want) || strings.HasPrefix(err.Error(), "cron:") { // ns.cron adds its name
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	fails("", "must have five fields")
	fails("* * * *", "must have five fields")
	fails("@never", "must have five fields")
	fails("60 * * * *", `"60 * * * *": minute: "60" is not a number from 0 to 59`)
	fails("* 24 * * *", "hour: \"24\" is not")
	fails("* * 0 * *", "day of the month: \"0\" is not a number from 1 to 31")
	fails("* * * foo *", "or one of jan, feb")
	fails("5-1 * * * *", `the range "5-1" ends before it begins`)
	fails("*/0 * * * *", `the step "0" is not a number from 1 to 59`)
	fails("*/x * * * *", `the step "x" is not`)
	fails("? * * * *", `"?" is not a number`)
	fails("+1 * * * *", `"+1" is not`)
	fails("1, * * * *", `"" is not`)
	fails("0 0 30 2 *", "no month has such a day")
}
