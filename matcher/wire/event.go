package wire

import (
	"fmt"
	"math"

	"nearside/matcher"
)

// tags reads texts and keeps them as they are given.
func (b *binder) tags(v value) ([]string, error) {
	if v.kind() != kindArray {
		return nil, v.mustBe("an array")
	}
	if limit := b.Limits.FilterValues; v.len() > limit {
		return nil, tooMany(v.len(), "filter_values", limit)
	}
	var tags []string
	if v.len() > 0 {
		tags = make([]string, 0, v.len())
	}
	err := v.array(func(_ int, v value) error {
		s, err := v.keptText()
		if err == nil && s == "" {
			err = badInput("must not be empty")
		}
		tags = append(tags, s)
		return err
	})
	return tags, err
}

// nullableFields is like strictFields, but visit receives an absent value instead of
// null.
func (v value) nullableFields(visit func(key string, v value) error) error {
	return v.strictFields(func(key string, field value) error {
		if field.isNull() {
			field = value{}
		}
		return visit(key, field)
	})
}

func (v value) absent() bool { return v.nodes == nil }

// group reads an object that holds the plain fields of a group. It calls other for
// all other fields. A null field is absent, for other too.
func (v value) group(obj *matcher.Object, name string, other func(key string, v value) error) error {
	plain := plainByName[obj.Origin][name]
	return v.nullableFields(func(key string, v value) error {
		switch f := plain[key]; {
		case f == nil:
			return other(key, v)
		case v.absent():
			return nil
		default:
			return v.plainField(f, obj)
		}
	})
}

func (v value) location(obj *matcher.Object) error {
	e := eventOf(obj)
	return v.group(obj, "location", func(key string, v value) (err error) {
		switch {
		case key != "geo_position":
			err = errUnknownField
		case !v.absent():
			e.Location.Position, err = v.position()
		}
		return err
	})
}

func (v value) position() (*matcher.Position, error) {
	p := &matcher.Position{Longitude: math.NaN(), Latitude: math.NaN()}
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "longitude":
			p.Longitude, err = v.number(-180, 180)
		case "latitude":
			p.Latitude, err = v.number(-90, 90)
		default:
			err = errUnknownField
		}
		return err
	})
	return p, orRequired(err,
		requirement{"longitude", math.IsNaN(p.Longitude)}, requirement{"latitude", math.IsNaN(p.Latitude)})
}

func (v value) topMatch(obj *matcher.Object) error {
	e := eventOf(obj)
	return v.group(obj, "top_match", func(key string, v value) (err error) {
		switch {
		case key != "similarity":
			err = errUnknownField
		case !v.absent():
			var f float64
			f, err = v.number(0, 1)
			e.TopMatch.Similarity = &f
		}
		return err
	})
}

// metaDepth is the maximum nesting depth of meta. It is lower than depthMax, so that
// an answer that contains meta stays within depthMax.
const metaDepth = 24

// metaNodes is the maximum number of names and values in meta. It leaves room for
// the other fields of the event, so that an exported event can always be imported.
const metaNodes = nodesMax / 2

// meta returns an object as JSON text.
func (v value) meta() (string, error) {
	if v.kind() != kindObject {
		return "", v.mustBe("an object")
	}
	if n := v.nodes[0].size; n > metaNodes {
		return "", &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("must have at most %d names and values, got %d", metaNodes, n)}
	}
	if err := v.checkMeta(metaDepth); err != nil {
		return "", err
	}
	w := NewWriter(nil, JSON)
	w.node(v)
	return string(w.Done()), nil
}

// checkMeta refuses values that JSON cannot write, keys that are given twice, and
// nesting deeper than metaDepth.
func (v value) checkMeta(depth int) error {
	switch n := v.nodes[0]; n.kind {
	case kindFloat:
		return v.checkNumbers()
	case kindArray, kindObject:
		if depth == 0 {
			return badInput("must not be nested deeper than %d levels", metaDepth)
		}
		if n.kind == kindArray {
			return v.array(func(_ int, v value) error { return v.checkMeta(depth - 1) })
		}
		seen := make(map[string]struct{}, v.len())
		return v.lenientFields(func(key string, v value) error {
			if _, twice := seen[key]; twice {
				return badInput("is given twice")
			}
			seen[key] = struct{}{}
			return v.checkMeta(depth - 1)
		})
	}
	return nil
}

// checkNumbers refuses numbers that JSON cannot write.
func (v value) checkNumbers() error {
	switch n := v.nodes[0]; n.kind {
	case kindFloat:
		if f := math.Float64frombits(n.num); math.IsInf(f, 0) || math.IsNaN(f) {
			return v.mustBe("a finite number")
		}
	case kindArray:
		return v.array(func(_ int, v value) error { return v.checkNumbers() })
	case kindObject:
		return v.lenientFields(func(_ string, v value) error { return v.checkNumbers() })
	}
	return nil
}
