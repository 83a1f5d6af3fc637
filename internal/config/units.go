package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"nearside/matcher"
)

const day = 24 * time.Hour

// sizeUnits are the units of sizes, largest first; those of 1024 are shown.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

// size is a number of bytes in least..most, as a number or with a unit.
func size(least, most int64) kind[int64] {
	return kind[int64]{show: showSize, parse: func(raw any) (int64, error) {
		n, ok := parseSize(raw)
		switch {
		case !ok:
			return 0, fmt.Errorf("%s is not a size: a number of bytes, or one with a unit like 64MiB", quote(raw))
		case n < least || n > most:
			return 0, fmt.Errorf("%s is not in %v..%v", quote(raw), showSize(least), showSize(most))
		}
		return n, nil
	}}
}

func parseSize(raw any) (int64, bool) {
	s, isText := raw.(string)
	if !isText {
		return parseInt(raw)
	}
	unit := int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > (1<<62)/unit || n < 0 {
		return 0, false
	}
	return n * unit, true
}

func showSize(n int64) any {
	for _, u := range sizeUnits[:4] {
		if n != 0 && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return int(n)
}

// duration is a time span in least..most: 0, or numbers with units, of which
// d is 24 hours and the others are those of [time.ParseDuration].
func duration(least, most time.Duration) kind[time.Duration] {
	return kind[time.Duration]{show: showDuration, parse: func(raw any) (time.Duration, error) {
		d, ok := parseDuration(raw)
		switch {
		case !ok:
			return 0, fmt.Errorf("%s is not a duration like 500ms, 60s or 30d", quote(raw))
		case d < least || d > most:
			return 0, fmt.Errorf("%s is not in %v..%v", quote(raw), showDuration(least), showDuration(most))
		}
		return d, nil
	}}
}

func parseDuration(raw any) (time.Duration, bool) {
	s, isText := raw.(string)
	if !isText {
		n, ok := parseInt(raw)
		return 0, ok && n == 0 // other numbers have no unit
	}
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "", s
	}
	var total time.Duration
	if found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, false
		}
		total = time.Duration(n) * day
	}
	if found && rest == "" {
		return total, true
	}
	d, err := time.ParseDuration(rest)
	return total + d, err == nil && (d >= 0 || !found)
}

// showDuration uses the largest unit that leaves a whole number.
func showDuration(d time.Duration) any {
	if d == 0 {
		return 0
	}
	units := []struct {
		name string
		span time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}
	for _, u := range units {
		if d%u.span == 0 {
			return fmt.Sprintf("%d%s", d/u.span, u.name)
		}
	}
	return d.String()
}

// address is host:port to listen on; check looks at the host.
var address = text(func(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%s is not host:port", quote(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s: port %s is not in 0..65535", quote(s), quote(port))
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%s: port %s has leading zeros", quote(s), quote(port))
	}
	return nil
})

// matcherName is what remotes are called in plans, metrics and errors.
var matcherName = text(func(s string) error {
	const most = 64
	if !nameForm.MatchString(s) || len(s) > most {
		return fmt.Errorf("%s is not 1..%d letters, digits, dots, dashes and underscores", quote(s), most)
	}
	return nil
})

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// webAddress is the base URL of another server.
var webAddress = text(func(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s is not a URL like http://host:port", quote(s))
	}
	return nil
})

var origin = enum(matcher.Faces, matcher.Events, matcher.Attributes)

var id = kind[matcher.ID]{
	show: func(id matcher.ID) any { return id.String() },
	parse: func(raw any) (matcher.ID, error) {
		s, err := parseText(raw)
		if err != nil {
			return matcher.ID{}, err
		}
		return matcher.ParseID(s)
	},
}

var level = kind[slog.Level]{
	show: func(l slog.Level) any { return strings.ToLower(l.String()) },
	parse: func(raw any) (slog.Level, error) {
		for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if raw == strings.ToLower(l.String()) {
				return l, nil
			}
		}
		return 0, fmt.Errorf("%s is not one of debug, info, warn, error", quote(raw))
	},
}
