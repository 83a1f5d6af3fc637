package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"nearside/matcher"
)

// value is a value on a tape: its node and all nodes after it. Its readers return
// faults without a path; strictFields and array add the path.
type value struct{ nodes []node }

func floatNode(f float64) node { return node{kind: kindFloat, num: math.Float64bits(f)} }

func (v value) kind() kind { return v.nodes[0].kind }

func (v value) isNull() bool { return v.kind() == kindNull }

// len returns the number of elements or fields of a container.
func (v value) len() int { return int(v.nodes[0].num) }

// strictFields calls visit for each field of an object. A field given twice is refused.
func (v value) strictFields(visit func(key string, v value) error) error {
	if v.kind() != kindObject {
		return v.mustBe("an object")
	}
	rest := v.nodes[1:]
	for i := range v.len() {
		key, field := rest[0].text, value{rest[1:]}
		before := v.nodes[1:]
		for range i { // quadratic, but visit refuses unknown keys, so there are few
			if before[0].text == key {
				return within(matcher.Shorten(key), badInput("is given twice"))
			}
			before = before[1+before[1].size:]
		}
		if err := visit(key, field); err != nil {
			return within(matcher.Shorten(key), err)
		}
		rest = rest[1+field.nodes[0].size:]
	}
	return nil
}

// field returns the first field with that name.
func (v value) field(name string) (field value, ok bool) {
	rest := v.nodes[1:]
	for range v.len() {
		if rest[0].text == name {
			return value{rest[1:]}, true
		}
		rest = rest[1+rest[1].size:]
	}
	return value{}, false
}

// array calls visit for each element.
func (v value) array(visit func(i int, v value) error) error {
	if v.kind() != kindArray {
		return v.mustBe("an array")
	}
	rest := v.nodes[1:]
	for i := range v.len() {
		if err := visit(i, value{rest}); err != nil {
			return within(indexName(i), err)
		}
		rest = rest[rest[0].size:]
	}
	return nil
}

// text returns a string. It is part of the body; a caller that keeps it uses
// keptText.
func (v value) text() (string, error) {
	if v.kind() != kindString {
		return "", v.mustBe("text")
	}
	return v.nodes[0].text, nil
}

// keptText returns a copy of a string, which does not keep the body in memory.
func (v value) keptText() (string, error) {
	s, err := v.text()
	return strings.Clone(s), err
}

func (v value) id() (matcher.ID, error) {
	s, err := v.text()
	if err != nil {
		return matcher.ID{}, v.mustBe("a UUID")
	}
	id, err := matcher.ParseID(s)
	if err != nil {
		return matcher.ID{}, v.mustBe("a UUID")
	}
	return id, nil
}

// objectID is id for ids that are stored. It refuses the nil UUID, which means
// that an object has no such id.
func (v value) objectID() (matcher.ID, error) {
	id, err := v.id()
	if err == nil && id.IsZero() {
		return id, badInput("must not be the nil UUID")
	}
	return id, err
}

func (v value) boolean() (bool, error) {
	if v.kind() != kindBool {
		return false, v.mustBe("true or false")
	}
	return v.nodes[0].num != 0, nil
}

// integer returns an integer from lo to hi. As in JSON Schema, 5.0 is an integer.
func (v value) integer(lo, hi int64) (int64, error) {
	n := v.nodes[0]
	i, ok := int64(n.num), n.kind == kindInt
	if f := math.Float64frombits(n.num); n.kind == kindFloat && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		i, ok = int64(f), true
	}
	if !ok || i < lo || i > hi {
		return 0, v.mustBe(fmt.Sprintf("an integer from %d to %d", lo, hi))
	}
	return i, nil
}

// small returns an age or an enumeration.
func (v value) small() (uint8, error) {
	i, err := v.integer(0, math.MaxUint8)
	return uint8(i), err
}

// smalls returns one number, or a list of numbers, from 0 to 255.
func (v value) smalls() (matcher.Smalls, error) {
	if v.kind() != kindArray {
		n, err := v.integer(0, math.MaxUint8)
		if err != nil {
			err = v.mustBe(fmt.Sprintf("an integer from 0 to 255, or an array of at most %d of them", matcher.SmallsMax))
		}
		return matcher.OneSmall(uint8(n)), err
	}
	if v.len() > matcher.SmallsMax {
		return "", badInput("must have at most %d values, got %d", matcher.SmallsMax, v.len())
	}
	list := make([]uint8, v.len())
	err := v.array(func(i int, v value) (err error) {
		list[i], err = v.small()
		return err
	})
	return matcher.SmallsOf(list), err
}

// number returns a number from lo to hi.
func (v value) number(lo, hi float64) (float64, error) {
	f, ok := v.float()
	if !ok || !(f >= lo && f <= hi) { // in this form, NaN is refused
		return 0, v.mustBe(fmt.Sprintf("a number from %v to %v", lo, hi))
	}
	return f, nil
}

func (v value) float() (f float64, ok bool) {
	switch n := v.nodes[0]; n.kind {
	case kindInt:
		return float64(int64(n.num)), true
	case kindUint:
		return float64(n.num), true
	case kindFloat:
		return math.Float64frombits(n.num), true
	default:
		return 0, false
	}
}

func (v value) time() (matcher.Time, error) {
	s, err := v.text()
	if err != nil {
		return 0, v.mustBe("an RFC 3339 time")
	}
	t, err := matcher.ParseTime(s)
	if err != nil {
		return 0, badInput("%s", err.Error())
	}
	return t, nil
}

// bytes returns a copy of binary data, or the data that a base64 text encodes. It is for
// descriptors, which can also be arrays of numbers.
func (v value) bytes() ([]byte, error) {
	n := v.nodes[0]
	switch n.kind {
	case kindBinary:
		return []byte(n.text), nil
	case kindString:
	default:
		return nil, v.mustBe("base64, binary data or an array of numbers")
	}
	b, ok := decodeBase64(n.text)
	if !ok {
		return nil, v.mustBe("standard base64")
	}
	return b, nil
}

// mustBe returns the fault of a value that is not one of the allowed values.
func (v value) mustBe(allowed string) error {
	return badInput("must be %s, got %s", allowed, v.quote())
}

// quote returns a text for v that an error can show, cut to about 64 bytes.
func (v value) quote() string {
	switch n := v.nodes[0]; n.kind {
	case kindNull:
		return "null"
	case kindBool:
		return strconv.FormatBool(n.num != 0)
	case kindInt:
		return strconv.FormatInt(int64(n.num), 10)
	case kindUint:
		return strconv.FormatUint(n.num, 10)
	case kindFloat:
		if n.text != "" {
			return matcher.Shorten(n.text)
		}
		return strconv.FormatFloat(math.Float64frombits(n.num), 'g', -1, 64)
	case kindString:
		return strconv.Quote(matcher.Shorten(n.text))
	case kindBinary:
		return fmt.Sprintf("binary data of %d bytes", len(n.text))
	case kindArray:
		return "an array"
	default:
		return "an object"
	}
}
