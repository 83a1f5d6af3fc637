package vm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringFormat is string.format. Each directive has its meaning in C. Widths and
// precisions have at most two digits, as in Lua 5.1.
func stringFormat(l *glua.LState) int {
	format := checkText(l, 1)
	executionOf(l).charge(l, len(format)/16)
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
		spec, verb := splitDirective(l, format[i:])
		i += len(spec)
		arg++
		appendText(l, &out, formatOne(l, spec, verb, arg))
		executionOf(l).charge(l, 4)
	}
	pushText(l, &out)
	return 1
}

// splitDirective splits "-5.2f..." into "-5.2" and 'f'.
func splitDirective(l *glua.LState, s string) (spec string, verb byte) {
	i := 0
	digits := func() {
		first := i
		for i < len(s) && isDigit(s[i]) {
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

// A number with more digits than exactDigits is computed with long integers,
// which costs manyDigitsUnits in addition to the work for each digit.
const (
	exactDigits     = 17
	manyDigitsUnits = 50
)

// digitsOf estimates the number of digits that a directive prints for n.
func digitsOf(spec string, verb byte, n float64) int {
	_, precision, given := strings.Cut(spec, ".")
	digits, _ := strconv.Atoi(precision)
	if !given {
		digits = 6
	}
	if n = math.Abs(n); verb == 'f' && n > 1 && !math.IsInf(n, 0) {
		digits += int(math.Log10(n))
	}
	return digits
}

// formatOne formats argument arg by one directive.
func formatOne(l *glua.LState, spec string, verb byte, arg int) string {
	switch verb {
	case 'd', 'i':
		return formatInteger(spec, 'd', checkNumber(l, arg))
	case 'u', 'o', 'x', 'X':
		return formatInteger(spec, verb, checkNumber(l, arg))
	case 'c':
		s := directiveOptionsOf(spec).pad(string([]byte{byte(checkInt(l, arg))})) // without a precision
		s, _, _ = strings.Cut(s, "\x00")                                          // C strings end at the first zero byte
		return s
	case 'e', 'E', 'f', 'g', 'G':
		n := checkNumber(l, arg)
		if digits := digitsOf(spec, verb, n); digits > exactDigits {
			executionOf(l).charge(l, manyDigitsUnits+digits/2)
		}
		return formatFloat(spec, verb, n)
	case 'q':
		return quote(l, checkText(l, arg))
	case 's':
		s, ok := "", false
		if ud, host := l.Get(arg).(*glua.LUserData); host { // such as a boxed integer
			s, ok = textOf(tostring(l, ud))
		}
		if !ok {
			s = checkText(l, arg) // Lua 5.1 converts only strings and numbers
		}
		if len(s) >= 100 && !strings.Contains(spec, ".") {
			return s // Lua 5.1 does not pad long strings
		}
		s, _, _ = strings.Cut(s, "\x00") // C strings end at the first zero byte
		return formatBytes(spec, s)
	}
	l.RaiseError("invalid option '%%%c' to 'format'", rune(verb))
	return ""
}

// directiveOptions are the parts of a directive between % and its letter.
type directiveOptions struct {
	left, plus, space, alternate, zero bool
	width, precision                   int
	precise                            bool // whether the directive has a precision
}

func directiveOptionsOf(spec string) (f directiveOptions) {
	flags := len(spec) - len(strings.TrimLeft(spec, "-+ #0"))
	for _, c := range spec[:flags] {
		switch c {
		case '-':
			f.left = true
		case '+':
			f.plus = true
		case ' ':
			f.space = true
		case '#':
			f.alternate = true
		case '0':
			f.zero = true
		}
	}
	width, precision, precise := strings.Cut(spec[flags:], ".")
	f.width, _ = strconv.Atoi(width) // 0 if there is no width
	f.precision, _ = strconv.Atoi(precision)
	f.precise = precise
	return f
}

// formatInteger formats an integer as C does. A precision is the minimum number
// of digits and disables padding with zeros. Only signed directives print a sign.
func formatInteger(spec string, verb byte, f float64) string {
	c, sign, digits := directiveOptionsOf(spec), "", ""
	switch verb {
	case 'd':
		n := toInt64(f)
		digits = strings.TrimPrefix(strconv.FormatInt(n, 10), "-")
		switch {
		case n < 0:
			sign = "-"
		case c.plus:
			sign = "+"
		case c.space:
			sign = " "
		}
	case 'u':
		digits = strconv.FormatUint(toUint64(f), 10)
	case 'o':
		digits = strconv.FormatUint(toUint64(f), 8)
	default:
		digits = strconv.FormatUint(toUint64(f), 16)
	}
	zero := digits == "0"
	if zero && c.precise && c.precision == 0 {
		digits = ""
	}
	digits = strings.Repeat("0", max(c.precision-len(digits), 0)) + digits
	switch {
	case c.alternate && verb == 'o' && !strings.HasPrefix(digits, "0"):
		digits = "0" + digits
	case c.alternate && (verb == 'x' || verb == 'X') && !zero:
		sign = "0x"
	}
	if c.zero && !c.left && !c.precise {
		digits = strings.Repeat("0", max(c.width-len(sign)-len(digits), 0)) + digits
	}
	text := sign + digits
	if verb == 'X' {
		text = strings.ToUpper(text)
	}
	return c.pad(text)
}

// pad adds spaces to a text that is shorter than the width.
func (f directiveOptions) pad(text string) string {
	spaces := strings.Repeat(" ", max(f.width-len(text), 0))
	if f.left {
		return text + spaces
	}
	return spaces + text
}

// toInt64 converts to int64 as amd64 does: a number that does not fit becomes
// the lowest integer.
func toInt64(f float64) int64 {
	if math.IsNaN(f) || f >= 1<<63 || f < -1<<63 {
		return math.MinInt64
	}
	return int64(f)
}

// toUint64 converts to uint64 as compilers for amd64 do.
func toUint64(f float64) uint64 {
	if f >= 1<<63 {
		return uint64(toInt64(f-1<<63)) ^ 1<<63 //nolint:gosec // the conversion keeps the bits
	}
	return uint64(toInt64(f)) //nolint:gosec // C prints the two's complement
}

func formatFloat(spec string, verb byte, f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) { // precision and padding with zeros do not apply
		c, text := directiveOptionsOf(spec), numberText(f)
		switch {
		case text[0] == '-':
		case c.plus:
			text = "+" + text
		case c.space:
			text = " " + text
		}
		if verb == 'G' || verb == 'E' {
			text = strings.ToUpper(text)
		}
		return c.pad(text)
	}
	if (verb == 'g' || verb == 'G') && !strings.Contains(spec, ".") {
		spec += ".6" // C's default precision; Go's default is the shortest text
	}
	return fmt.Sprintf("%"+spec+string(rune(verb)), f)
}

// formatBytes is %s as in C: width and precision count bytes.
func formatBytes(spec, s string) string {
	f := directiveOptionsOf(spec)
	if f.precise && f.precision < len(s) {
		s = s[:f.precision]
	}
	return f.pad(s)
}

// quote is %q: it returns s as a Lua string literal.
func quote(l *glua.LState, s string) string {
	checkLength(l, 2*len(s))
	executionOf(l).charge(l, len(s)/8)
	executionOf(l).reserveBytes(l, 4*len(s))
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
