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

	"nearside/internal/units"
	"nearside/matcher"
)

const day = 24 * time.Hour

// size is the kind of a number of bytes from lo to hi: a number, or a text with a unit.
func size(lo, hi int64) kind[int64] {
	return kind[int64]{show: showSize, parse: func(raw any) (int64, error) {
		n, ok := parseSize(raw)
		switch {
		case !ok:
			return 0, fmt.Errorf("must be a size, a number of bytes or one with a unit such as 64MiB, got %s", quote(raw))
		case n < lo || n > hi:
			return 0, fmt.Errorf("must be a size from %v to %v, got %s", showSize(lo), showSize(hi), quote(raw))
		}
		return n, nil
	}}
}

func parseSize(raw any) (int64, bool) {
	s, isText := raw.(string)
	if !isText {
		return parseInt(raw)
	}
	return units.ParseSize(s)
}

func showSize(n int64) any {
	if text, ok := units.FormatSize(n); ok {
		return text
	}
	return int(n)
}

// duration is the kind of a time span from lo to hi: 0, or numbers with units.
// The unit d is 24 hours; the other units are those of [time.ParseDuration].
func duration(lo, hi time.Duration) kind[time.Duration] {
	return kind[time.Duration]{show: showDuration, parse: func(raw any) (time.Duration, error) {
		d, ok := parseDuration(raw)
		switch {
		case !ok:
			return 0, fmt.Errorf("must be a duration such as 500ms, 60s or 30d, got %s", quote(raw))
		case d < lo || d > hi:
			return 0, fmt.Errorf("must be a duration from %v to %v, got %s", showDuration(lo), showDuration(hi), quote(raw))
		}
		return d, nil
	}}
}

// ParseDuration parses a duration as in the configuration: 0, or numbers with the units d, h,
// m, s and ms.
func ParseDuration(text string) (time.Duration, error) {
	return duration(0, 100*365*day).parse(text)
}

func parseDuration(raw any) (time.Duration, bool) {
	s, isText := raw.(string)
	if !isText {
		n, ok := parseInt(raw)
		return 0, ok && n == 0 // any other number needs a unit
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

// showDuration returns a duration as text with the largest unit that gives an integer,
// and 0 as a number.
func showDuration(d time.Duration) any {
	if d == 0 {
		return 0
	}
	spans := []struct {
		name string
		span time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}
	for _, u := range spans {
		if d%u.span == 0 {
			return fmt.Sprintf("%d%s", d/u.span, u.name)
		}
	}
	return d.String()
}

// address is the kind of host:port to listen on. Config.check checks the host.
var address = text(func(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("must be host:port, got %s", quote(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("must have a port from 0 to 65535, got %s", quote(s))
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("must have a port without leading zeros, got %s", quote(s))
	}
	return nil
})

// matcherName is the kind of the name of a remote. Plans, metrics and errors show it.
var matcherName = text(checkMatcherName)

func checkMatcherName(s string) error {
	const bytesMax = 64
	if !nameForm.MatchString(s) || len(s) > bytesMax {
		return fmt.Errorf("must be 1 to %d letters, digits, dots, dashes and underscores, got %s", bytesMax, quote(s))
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// webAddress is the kind of the base URL of a remote.
var webAddress = text(func(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("must be a URL such as http://host:port, got %s", quote(s))
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return fmt.Errorf("must have a port from 1 to 65535, got %s", quote(s))
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
		return 0, fmt.Errorf("must be one of debug, info, warn, error, got %s", quote(raw))
	},
}
