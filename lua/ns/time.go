package ns

import (
	"fmt"
	"math"
	"sync"
	"time"
	_ "time/tzdata" // the zones, for machines and containers without them

	"nearside/lua/vm"
)

// TimeModule is ns.time.
func TimeModule() vm.Module {
	return vm.Module{Name: "time", Doc: "Times as text. A time is a Unix time in seconds. A zone is UTC (the default), a name such as Europe/Berlin, or Local, the zone of the machine.", Functions: []vm.Function{
		{
			Name: "format", Params: []string{"t: number", "layout?: string", "zone?: string"}, Returns: []string{"string"},
			Doc: "Returns t as text. layout is rfc3339 (the default), rfc1123 (as in headers of HTTP), or a text with the directives %Y %y %m %d %e %j %H %I %M %S %p %L (milliseconds) %f (microseconds) %a %A %b %B %z (+0100) %Z (CET) %s (seconds since 1970) %F %T %%.",
			Run: timeFormat,
		},
		{
			Name: "parse", Params: []string{"text: string", "layout?: string", "zone?: string"}, Returns: []string{"number?", "string? err"},
			Doc: "Returns the time that text shows, or nil and an error. layout is as in format, without %j and %Z. zone is the zone of a text that names none. Parts that the layout lacks are those of 1970-01-01T00:00:00.",
			Run: timeParse,
		},
	}}
}

// The years that ns.time can show.
const (
	minYear = 0
	maxYear = 9999
)

var (
	minTime = time.Date(minYear, 1, 1, 0, 0, 0, 0, time.UTC)
	endTime = time.Date(maxYear+1, 1, 1, 0, 0, 0, 0, time.UTC)
)

// timeUnits is the charge for one part of a layout.
const timeUnits = 10

func timeFormat(c *vm.Call) error {
	at, err := timeOf(c.Number(1))
	if err != nil {
		return err
	}
	zone, err := loadZone(c.TextOr(3, "UTC"))
	if err != nil {
		return err
	}
	l, err := parseLayout(c.TextOr(2, "rfc3339"))
	if err != nil {
		return err
	}
	c.Charge(timeUnits * len(l))
	if at = at.In(zone); at.Year() < minYear || at.Year() > maxYear {
		return yearError(c.Number(1))
	}
	var b []byte
	for _, p := range l {
		if b, err = p.append(b, at); err != nil {
			return err
		}
	}
	c.Allocate(len(b))
	return c.Return(b)
}

func timeParse(c *vm.Call) error {
	zone, err := loadZone(c.TextOr(3, "UTC"))
	if err != nil {
		return err
	}
	l, err := parseLayout(c.TextOr(2, "rfc3339"))
	if err != nil {
		return err
	}
	if err := l.checkReadable(); err != nil {
		return err
	}
	c.Charge(timeUnits*len(l) + len(c.Text(1))/16)
	at, err := l.parse(c.Text(1), zone)
	if err != nil {
		return c.Fail(fmt.Errorf("%q: %w", cutText(c.Text(1), 64), err))
	}
	return c.Return(float64(at.Unix()) + float64(at.Nanosecond())/1e9)
}

// timeOf converts a Unix time in seconds. It rounds to microseconds, because a float64 has
// no more digits for times of our days.
func timeOf(seconds float64) (time.Time, error) {
	if math.IsNaN(seconds) || seconds < float64(minTime.Unix()) || seconds >= float64(endTime.Unix()) {
		return time.Time{}, yearError(seconds)
	}
	whole := math.Floor(seconds)
	micros := math.Round((seconds - whole) * 1e6)
	return time.Unix(int64(whole), int64(micros)*1000).UTC(), nil
}

func yearError(seconds float64) error {
	return fmt.Errorf("the time %v is not within the years %d to %d", seconds, minYear, maxYear)
}

// zones has the zones that were used, by name. Only names of the zone database are in it.
var zones sync.Map

// loadZone returns a zone of the zone database.
func loadZone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return nil, fmt.Errorf("zone: %q is unknown; use UTC, Local, or a name of the zone database such as Europe/Berlin", cutText(name, 64))
	}
	zones.Store(name, z)
	return z, nil
}
