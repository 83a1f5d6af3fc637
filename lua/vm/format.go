package vm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringFormat is string.format with C's meaning of each directive; widths
// and precisions have at most two digits, as in Lua.
func stringFormat(l *glua.LState) int {
	format := checkText(l, 1)
	taskOf(l).charge(l, len(format)/16)
	var out strings.Builder
	arg := 1
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		if i++; i < len(format) && format[i] == '%' {
			out.WriteByte('%')
			continue
		}
		spec, verb := directive(l, format[i:])
		i += len(spec)
		arg++
		addText(l, &out, formatOne(l, spec, verb, arg))
		taskOf(l).charge(l, 4)
	}
	pushText(l, &out)
	return 1
}

// directive splits "-5.2f..." into "-5.2" and 'f'.
func directive(l *glua.LState, s string) (spec string, verb byte) {
	i := 0
	digits := func() {
		first := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if i-first > 2 {
			l.RaiseError("invalid format (width or precision too long)")
		}
	}
	for i < len(s) && i < 5 && strings.IndexByte("-+ #0", s[i]) >= 0 {
		i++
	}
	digits()
	if i < len(s) && s[i] == '.' {
		i++
		digits()
	}
	if i == len(s) {
		l.RaiseError("invalid format: it ends within a directive")
	}
	return s[:i], s[i]
}

// manyDigits is the work of a number with ten digits or more behind the point:
// they are computed with long integers.
const manyDigits = 50

func formatOne(l *glua.LState, spec string, verb byte, arg int) string {
	switch verb {
	case 'd', 'i':
		return formatInteger(spec, 'd', checkNumber(l, arg))
	case 'u', 'o', 'x', 'X':
		return formatInteger(spec, verb, checkNumber(l, arg))
	case 'c':
		s := formatBytes(spec, string([]byte{byte(checkInt(l, arg))}))
		s, _, _ = strings.Cut(s, "\x00") // where C's strings end
		return s
	case 'e', 'E', 'f', 'g', 'G':
		if _, precision, _ := strings.Cut(spec, "."); len(precision) > 1 {
			taskOf(l).charge(l, manyDigits)
		}
		return formatFloat(spec, verb, checkNumber(l, arg))
	case 'q':
		return quote(l, checkText(l, arg))
	case 's':
		s, ok := "", false
		if ud, host := l.Get(arg).(*glua.LUserData); host { // such as a boxed integer
			s, ok = textOf(tostring(l, ud))
		}
		if !ok {
			s = checkText(l, arg) // Lua 5.1 converts nothing else
		}
		if len(s) >= 100 && !strings.Contains(spec, ".") {
			return s // Lua 5.1 pads no long strings
		}
		s, _, _ = strings.Cut(s, "\x00") // where C's strings end
		return formatBytes(spec, s)
	}
	l.RaiseError("invalid option '%%%c' to 'format'", rune(verb))
	return ""
}

// formatInteger has C's rule that a precision is the least number of digits
// and switches off padding with zeros.
func formatInteger(spec string, verb byte, f float64) string {
	switch verb {
	case 'd':
		return fmt.Sprintf("%"+spec+"d", signed(f))
	case 'u':
		verb = 'd'
	}
	return fmt.Sprintf("%"+spec+string(rune(verb)), unsigned(f))
}

// signed is the conversion to int64 on amd64: what does not fit gives the
// least integer.
func signed(f float64) int64 {
	if math.IsNaN(f) || f >= 1<<63 || f < -1<<63 {
		return math.MinInt64
	}
	return int64(f)
}

// unsigned is the conversion to uint64 as compilers for amd64 do it.
func unsigned(f float64) uint64 {
	if f >= 1<<63 {
		return uint64(signed(f-1<<63)) ^ 1<<63 //nolint:gosec // the bits are meant
	}
	return uint64(signed(f)) //nolint:gosec // C prints the two's complement
}

func formatFloat(spec string, verb byte, f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		text := strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64))
		text = strings.TrimPrefix(text, "+")
		if strings.Contains(spec, "+") && text[0] != '-' {
			text = "+" + text
		} else if strings.Contains(spec, " ") && text[0] != '-' {
			text = " " + text
		}
		if verb == 'G' || verb == 'E' {
			text = strings.ToUpper(text)
		}
		width, _, _ := strings.Cut(spec, ".") // infinity has no digits to count or to pad with
		if flags := len(width) - len(strings.TrimLeft(width, "-+ #0")); strings.Contains(width[:flags], "-") {
			width = "-" + width[flags:]
		} else {
			width = width[flags:]
		}
		return formatBytes(width, text)
	}
	if (verb == 'g' || verb == 'G') && !strings.Contains(spec, ".") {
		spec += ".6" // C's default, where Go takes the shortest
	}
	return fmt.Sprintf("%"+spec+string(rune(verb)), f)
}

// formatBytes is %s with C's meaning: widths and precisions count bytes.
func formatBytes(spec, s string) string {
	left := strings.HasPrefix(strings.TrimLeft(spec, "+ #0"), "-")
	spec = strings.TrimLeft(spec, "-+ #0")
	width, precision, cut := strings.Cut(spec, ".")
	if n, _ := strconv.Atoi(precision); cut && n < len(s) {
		s = s[:n]
	}
	n, _ := strconv.Atoi(width)
	padding := strings.Repeat(" ", max(n-len(s), 0))
	if left {
		return s + padding
	}
	return padding + s
}

func quote(l *glua.LState, s string) string {
	checkLength(l, 2*len(s))
	taskOf(l).charge(l, len(s)/8)
	taskOf(l).reserve(l, 4*len(s))
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\000`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
