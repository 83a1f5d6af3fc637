package ns

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of the fields that plugins add to rows.
const (
	ExtraRowMax    = 16 << 10 // bytes of the added fields of a row, as JSON
	ExtraAnswerMax = 16 << 20 // bytes of the added fields of an answer
	extraNameMax   = 64       // bytes of the name of a field
)

// ExtraRoom counts the bytes of added fields in one answer.
type ExtraRoom struct{ used atomic.Int64 }

// take counts bytes. It returns an error, and counts nothing, if there are too many.
func (r *ExtraRoom) take(bytes int64) error {
	if r.used.Add(bytes) > ExtraAnswerMax {
		r.used.Add(-bytes)
		return fmt.Errorf("the fields that plugins add to the rows of an answer must have at most %d bytes in all", ExtraAnswerMax)
	}
	return nil
}

// rowsAdd is add.
func rowsAdd(c *vm.Call) error {
	l, name := c.Self().(*Rows), c.Text(1)
	if err := checkExtraName(name); err != nil {
		return err
	}
	encoded, err := extraValue(c)
	if err != nil {
		return err
	}
	return l.change(c, func(rows []*row) ([]*row, error) {
		c.Charge(2 * rowUnits * len(rows))
		extra, total := make([][]matcher.Extra, len(rows)), int64(0)
		for i, r := range rows {
			text, err := encoded(r)
			if err == nil && text != "" {
				chargeExtra(c, r.extra)
				total += int64(len(name) + len(text))
				extra[i], err = withExtra(r.extra, matcher.Extra{Name: name, JSON: text})
			}
			if err != nil {
				return nil, fmt.Errorf("row %d: %s: %w", i+1, name, err)
			}
		}
		if err := l.room.take(total); err != nil {
			return nil, err
		}
		l.charged += total
		for i, r := range rows {
			if extra[i] != nil {
				r.extra = extra[i]
			}
		}
		return rows, nil
	})
}

// extraValue returns a function that returns the value of an added field for a row, as JSON;
// "": the row does not get the field. The value is argument 2, or the result of argument 2.
func extraValue(c *vm.Call) (func(r *row) (string, error), error) {
	value := c.Value(2)
	if fn, ok := value.(*vm.Func); ok {
		return func(r *row) (string, error) {
			result, err := callWith(c, fn, r)
			if err != nil || result == nil {
				return "", err
			}
			return extraJSON(c, result)
		}, nil
	}
	if value == nil {
		return nil, errors.New("value: must not be nil")
	}
	text, err := extraJSON(c, value)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	return func(*row) (string, error) { return text, nil }, nil
}

// extraJSON returns a value as JSON.
func extraJSON(c *vm.Call, v any) (string, error) {
	if text, ok := v.(string); ok && len(text) > ExtraRowMax { // do not encode it first
		return "", extraTooLarge(len(text))
	}
	encoded, err := encodeExtra(v)
	if err != nil {
		return "", err
	}
	c.Charge(len(encoded) / extraPerUnit)
	c.Allocate(len(encoded))
	return string(encoded), nil
}

// encodeExtra is goval.EncodeJSON, which is slow for the usual values.
func encodeExtra(v any) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		return wire.AppendValue(nil, wire.JSON, v), nil
	case string:
		if utf8.ValidString(v) {
			return wire.AppendValue(nil, wire.JSON, v), nil
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.AppendInt(nil, int64(v), 10), nil
		}
	}
	return goval.EncodeJSON(v)
}

func extraTooLarge(bytes int) error {
	return fmt.Errorf("the added fields of a row must have at most %d bytes as JSON, got %d", ExtraRowMax, bytes)
}

func checkExtraName(name string) error {
	if name == "" || len(name) > extraNameMax || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("name: must have 1 to %d letters, digits and _, got %q", extraNameMax, goval.Shorten(name))
	}
	return nil
}

// withExtra returns the added fields of a row with one more, or with another value of it.
func withExtra(old []matcher.Extra, added matcher.Extra) ([]matcher.Extra, error) {
	all, bytes := make([]matcher.Extra, 0, len(old)+1), 0
	for _, e := range old {
		if e.Name != added.Name {
			all = append(all, e)
			bytes += e.Bytes()
		}
	}
	if bytes += added.Bytes(); bytes > ExtraRowMax {
		return nil, extraTooLarge(bytes)
	}
	return append(all, added), nil
}

// extraPerUnit is the number of bytes of an added field that a unit of work encodes or
// compares.
const extraPerUnit = 8

// chargeExtra charges for the search in the added fields of a row and for a copy of them.
func chargeExtra(c *vm.Call, extra []matcher.Extra) {
	c.Charge(len(extra))
	c.Allocate((len(extra) + 1) * extraFieldBytes)
}

// extraFieldBytes is the size of a [matcher.Extra] without its texts.
const extraFieldBytes = 32

func indexOfExtra(extra []matcher.Extra, name string) int {
	return slices.IndexFunc(extra, func(e matcher.Extra) bool { return e.Name == name })
}
