package ns

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A layout is the form of a time as text: literal texts and directives.
type layout []layoutPart

// A layoutPart is a literal text, or a directive.
type layoutPart struct {
	text      string // literal; only if directive is 0
	directive byte
}

// maxLayout is the maximum length of a layout, and of a text that is parsed, in bytes.
const maxLayout = 256

// The directives that stand for the two named layouts. No text of a layout has them.
const (
	rfc3339Directive = 1
	rfc1123Directive = 2
)

var namedLayouts = map[string]layout{"rfc3339": {{directive: rfc3339Directive}}, "rfc1123": {{directive: rfc1123Directive}}}

// layoutDirectives are the directives after %.
const layoutDirectives = "YymdejHIMSpLfaAbBzZs"

// shortDirectives stand for several others.
var shortDirectives = map[byte]string{'F': "%Y-%m-%d", 'T': "%H:%M:%S"}

// parseLayout reads the argument layout.
func parseLayout(text string) (layout, error) {
	if l, ok := namedLayouts[text]; ok {
		return l, nil
	}
	if len(text) > maxLayout {
		return nil, fmt.Errorf("layout: has %d bytes, at most %d are allowed", len(text), maxLayout)
	}
	var l layout
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		if before != "" {
			l = append(l, layoutPart{text: before})
		}
		if !found {
			break
		}
		if after == "" {
			return nil, fmt.Errorf("layout: %q ends with %%: write %%%% for a percent sign", text)
		}
		d := after[0]
		rest = after[1:]
		switch short := shortDirectives[d]; {
		case short != "":
			rest = short + rest
		case d == '%':
			l = append(l, layoutPart{text: "%"})
		case strings.IndexByte(layoutDirectives, d) >= 0:
			l = append(l, layoutPart{directive: d})
		default:
			return nil, fmt.Errorf("layout: %%%c is not one of %%%s %%F %%T %%%%", d, strings.Join(strings.Split(layoutDirectives, ""), " %"))
		}
	}
	if !slices.ContainsFunc(l, func(p layoutPart) bool { return p.directive != 0 }) {
		return nil, fmt.Errorf("layout: %q is neither rfc3339 nor rfc1123, and has no directive such as %%Y", text)
	}
	return l, nil
}

// checkReadable returns an error if a text in this layout cannot be parsed.
func (l layout) checkReadable() error {
	for _, p := range l {
		if p.directive == 'Z' || p.directive == 'j' {
			return fmt.Errorf("layout: parse cannot read %%%c", p.directive)
		}
	}
	return nil
}

// goLayouts are the directives that package time can show and read.
var goLayouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'z': "-0700", 'Z': "MST",
}

// append appends the part of a time to b.
func (p layoutPart) append(b []byte, t time.Time) ([]byte, error) {
	switch p.directive {
	case 0:
		return append(b, p.text...), nil
	case rfc3339Directive:
		if _, offset := t.Zone(); offset%60 != 0 {
			return nil, fmt.Errorf("rfc3339 cannot show the offset of the zone %s at this time, %d seconds", t.Location(), offset)
		}
		return t.AppendFormat(b, time.RFC3339Nano), nil
	case rfc1123Directive:
		return t.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT"), nil
	case 'L':
		return fmt.Appendf(b, "%03d", t.Nanosecond()/1e6), nil
	case 'f':
		return fmt.Appendf(b, "%06d", t.Nanosecond()/1e3), nil
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10), nil
	}
	return t.AppendFormat(b, goLayouts[p.directive]), nil
}

// parse reads a time. zone is that of a text that names none.
func (l layout) parse(text string, zone *time.Location) (time.Time, error) {
	if len(text) > maxLayout {
		return time.Time{}, fmt.Errorf("is longer than %d bytes", maxLayout)
	}
	if len(l) == 1 {
		switch l[0].directive {
		case rfc3339Directive:
			t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
			return checkParsed(t, err, "is not a time as in 2026-01-31T23:59:59.5Z")
		case rfc1123Directive:
			t, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", text)
			return checkParsed(t, err, "is not a time as in Sat, 31 Jan 2026 23:59:59 GMT")
		}
	}
	r := timeReader{rest: text, year: 1970, month: 1, day: 1}
	for _, p := range l {
		if err := r.read(p); err != nil {
			return time.Time{}, err
		}
	}
	if r.rest != "" {
		return time.Time{}, fmt.Errorf("has %q after the end of the layout", r.rest)
	}
	return r.time(zone)
}

// checkParsed returns t, or an error with the text fault.
func checkParsed(t time.Time, err error, fault string) (time.Time, error) {
	if err != nil {
		return t, errors.New(fault)
	}
	return t, nil
}
