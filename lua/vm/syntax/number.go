package syntax

import (
	"math"
	"strconv"
	"strings"
)

const spaces = " \t\n\v\f\r"

// ToNumber reads a number as lua5.1 does, which uses C's strtod. It accepts
// decimal and hexadecimal numbers, "inf" and "nan", with spaces on both sides.
func ToNumber(s string) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00") // C strings end at the first zero byte
	s = strings.Trim(s, spaces)
	sign, digits := 1.0, s
	if s != "" && (s[0] == '-' || s[0] == '+') {
		digits = s[1:]
		if s[0] == '-' {
			sign = -1
		}
	}
	if digits == "" || digits[0] == '-' || digits[0] == '+' || strings.ContainsRune(digits, '_') {
		return 0, false
	}
	if len(digits) > 1 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		return hexNumber(digits[2:], sign)
	}
	if ('0' > digits[0] || digits[0] > '9') && digits[0] != '.' {
		switch lower := strings.ToLower(digits); {
		case lower == "inf" || lower == "infinity":
			return math.Inf(int(sign)), true
		case lower == "nan" || strings.HasPrefix(lower, "nan(") && strings.HasSuffix(lower, ")"):
			return math.NaN(), true
		}
		return 0, false
	}
	if c := digits[len(digits)-1]; c == 'p' || c == 'P' {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return sign * f, true
}

// hexNumber reads the digits after 0x and multiplies the result by sign.
func hexNumber(s string, sign float64) (float64, bool) {
	if s == "" {
		return 0, false
	}
	if !strings.ContainsAny(s, "pP") {
		s += "p0" // Go requires an exponent, C does not
	}
	f, err := strconv.ParseFloat("0x"+s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return sign * f, true
}
