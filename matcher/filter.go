package matcher

import "fmt"

// Range is a half-open interval [GTE, LT); a nil end is open.
type Range[T any] struct{ GTE, LT *T }

// IsZero reports whether r lets every value pass.
func (r Range[T]) IsZero() bool { return r.GTE == nil && r.LT == nil }

// Filter selects candidates of one origin (docs/api.md, Filters): fields are joined
// by AND, the values of a list by OR. A nil pointer or slice does not filter; an empty
// slice that is not nil selects nothing. A row without a field does not pass a filter
// on it. A Filter is read-only after its request was decoded.
type Filter struct {
	IDs        []ID      // of the objects themselves
	IDRange    Range[ID] // of the objects themselves
	Account    *ID
	CreateTime Range[Time]
	Fields     []FieldFilter // on plain fields, one for each field
	ListID     *ID           // of faces
	Lists      []ID          // of faces
	Event      EventFilter
}

// FieldFilter is a filter on a plain field. Members for other kinds of fields are nil
// or zero.
type FieldFilter struct {
	Field  *Field
	Texts  []string     // for a [TextField]: the allowed values
	UUIDs  []ID         // for a [UUIDField]: the allowed values
	Smalls []uint8      // for a [SmallField]: the allowed values; for a [SmallsField]: it must have at least one of these values
	Range  Range[uint8] // for a [SmallField]
}

// IsZero reports whether f lets every row pass.
func (f *Filter) IsZero() bool {
	return f.IDs == nil && f.IDRange.IsZero() && f.Account == nil && f.CreateTime.IsZero() && f.Fields == nil &&
		f.ListID == nil && f.Lists == nil && f.Event.IsZero()
}

// On returns the filter on a field. If f does not have one yet, On adds it. The pointer
// is valid until the next call.
func (f *Filter) On(field *Field) *FieldFilter {
	for i := range f.Fields {
		if f.Fields[i].Field == field {
			return &f.Fields[i]
		}
	}
	f.Fields = append(f.Fields, FieldFilter{Field: field})
	return &f.Fields[len(f.Fields)-1]
}

// Where returns a Filter that consists of these filters on plain fields.
func Where(fields ...FieldFilter) Filter { return Filter{Fields: fields} }

// AnyOf returns a filter that passes objects whose field at path has one of the values.
// It panics if there is no such field, or if the field has another type.
func AnyOf[T string | ID | uint8](path string, values ...T) FieldFilter {
	f := FieldFilter{Field: mustField(path)}
	switch values := any(append([]T{}, values...)).(type) {
	case []string:
		f.Texts = values
	case []ID:
		f.UUIDs = values
	case []uint8:
		f.Smalls = values
	}
	if f.Field.Kind == TextField != (f.Texts != nil) || f.Field.Kind == UUIDField != (f.UUIDs != nil) {
		panic(fmt.Sprintf("matcher: values of %s cannot be of type %T", path, values))
	}
	return f
}

// Within returns a filter that passes objects whose field at path is in r. It panics if
// there is no [SmallField] at path.
func Within(path string, r Range[uint8]) FieldFilter {
	f := FieldFilter{Field: mustField(path), Range: r}
	if f.Field.Kind != SmallField {
		panic("matcher: " + path + " is not a small number")
	}
	return f
}

func mustField(path string) *Field {
	for _, f := range fields {
		if f.Path() == path {
			return f
		}
	}
	panic("matcher: there is no plain field " + path)
}
