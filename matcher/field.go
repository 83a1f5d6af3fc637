package matcher

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// Field is a plain field of objects: an optional text, UUID, small number or list of
// small numbers that needs no code of its own. Struct tags in [Object], [Event], [Location] and
// [TopMatch] declare the plain fields. These are the keys of the tags:
//
//	field    the name in requests and answers
//	record   the tag in records of the store, 1 to 255; it must never change
//	origins  the origins that have the field, separated by commas. The default is all
//	         origins for a field of Object, and events for a field of the other structs
//	any      the name of the filter by a list of values
//	is       the name of the filter by one value
//	range    the name, without __gte and __lt, of the filters by a range of small numbers
//	values   "few" if most objects share the values of a field, other than a small number, with many others
//	group    on a struct: the name of the object that holds its members in requests
//	         and answers
//
// All code that reads or writes objects uses the table built from these tags.
type Field struct {
	Name    string
	Group   string // the object that holds the field, as in "location"; "": the field has no group
	Kind    FieldKind
	Record  byte
	Any     string // the filter by a list of values; "": no such filter
	Is      string // the filter by one value; "": no such filter
	Range   string // the filters by a range, without __gte and __lt; "": no such filters
	Few     bool   // most objects share their value with many others
	origins [Origins]bool
	ofEvent bool    // a member of Object.Event, not of Object
	offset  uintptr // in Object or Event
}

// FieldKind is the type of a plain field.
type FieldKind uint8

// The kinds of fields. A zero value is an absent field.
const (
	TextField   FieldKind = iota // string
	UUIDField                    // ID
	SmallField                   // Small
	SmallsField                  // Smalls
)

// fields are all plain fields, in the order of their declaration.
var fields = func() []*Field {
	all := fieldsOf(reflect.TypeFor[Object](), Field{origins: [Origins]bool{true, true, true}})
	return append(all, fieldsOf(reflect.TypeFor[Event](), Field{origins: [Origins]bool{Events: true}, ofEvent: true})...)
}()

var fieldsByOrigin = func() (by [Origins][]*Field) {
	for o := range Origins {
		for _, f := range fields {
			if f.origins[o] {
				by[o] = append(by[o], f)
			}
		}
	}
	return by
}()

// Fields returns the plain fields of objects of o, in the order of their
// declaration. The slice must not be changed.
func Fields(o Origin) []*Field { return fieldsByOrigin[o] }

// fieldsOf returns the plain fields of a struct. common holds the values that they
// share, and the offset of the struct.
func fieldsOf(t reflect.Type, common Field) (all []*Field) {
	for member := range t.Fields() {
		f := common
		f.offset += member.Offset
		if group, ok := member.Tag.Lookup("group"); ok {
			f.Group = group
			all = append(all, fieldsOf(member.Type, f)...)
			continue
		}
		name, ok := member.Tag.Lookup("field")
		if !ok {
			continue
		}
		f.Name = name
		f.Kind = kindOf(member)
		f.Record = recordTag(member)
		f.Any, f.Is, f.Range = member.Tag.Get("any"), member.Tag.Get("is"), member.Tag.Get("range")
		f.Few = member.Tag.Get("values") == "few"
		if origins, ok := member.Tag.Lookup("origins"); ok {
			f.origins = originSet(origins)
		}
		all = append(all, &f)
	}
	return all
}

// The functions that read tags panic on a wrong tag, so that a program with a wrong
// tag does not start.

func kindOf(member reflect.StructField) FieldKind {
	switch member.Type {
	case reflect.TypeFor[string]():
		return TextField
	case reflect.TypeFor[ID]():
		return UUIDField
	case reflect.TypeFor[Small]():
		return SmallField
	case reflect.TypeFor[Smalls]():
		return SmallsField
	}
	panic(fmt.Sprintf("matcher: field %s must be of type string, ID, Small or Smalls, got %s", member.Name, member.Type))
}

func recordTag(member reflect.StructField) byte {
	tag, err := strconv.ParseUint(member.Tag.Get("record"), 10, 8)
	if err != nil || tag == 0 {
		panic(fmt.Sprintf("matcher: field %s needs record:\"1\" to record:\"255\", got %q", member.Name, member.Tag.Get("record")))
	}
	return byte(tag)
}

func originSet(text string) (set [Origins]bool) {
	for name := range strings.SplitSeq(text, ",") {
		o, err := ParseOrigin(name)
		if err != nil {
			panic("matcher: origins of a field: " + err.Error())
		}
		set[o] = true
	}
	return set
}

// Path returns the name with its group before it, as in "location.city".
func (f *Field) Path() string {
	if f.Group == "" {
		return f.Name
	}
	return f.Group + "." + f.Name
}

// Text returns the value in obj of a field of kind [TextField], or the bytes of a
// [Smalls].
func (f *Field) Text(obj *Object) string { return valueOf[string](f, obj) }

// UUID returns the value in obj of a field of kind [UUIDField].
func (f *Field) UUID(obj *Object) ID { return valueOf[ID](f, obj) }

// Small returns the value in obj of a field of kind [SmallField].
func (f *Field) Small(obj *Object) Small { return valueOf[Small](f, obj) }

// SetText sets a field of kind [TextField], or the bytes of a [Smalls].
func (f *Field) SetText(obj *Object, text string) { *(*string)(f.address(obj)) = text }

// SetUUID sets a field of kind [UUIDField].
func (f *Field) SetUUID(obj *Object, id ID) { *(*ID)(f.address(obj)) = id }

// SetSmall sets a field of kind [SmallField].
func (f *Field) SetSmall(obj *Object, s Small) { *(*Small)(f.address(obj)) = s }

// Copy copies the value of the field from one object to another.
func (f *Field) Copy(to, from *Object) {
	switch f.Kind {
	case TextField, SmallsField:
		f.SetText(to, f.Text(from))
	case UUIDField:
		f.SetUUID(to, f.UUID(from))
	case SmallField:
		f.SetSmall(to, f.Small(from))
	}
}

// valueOf returns the value of a field, whose type must be T.
func valueOf[T string | ID | Small](f *Field, obj *Object) (value T) {
	if f.ofEvent && obj.Event == nil {
		return value
	}
	return *(*T)(f.address(obj))
}

// address returns the address of the field in obj. For a field of obj.Event, it sets
// obj.Event if that is nil.
func (f *Field) address(obj *Object) unsafe.Pointer {
	if !f.ofEvent {
		return unsafe.Add(unsafe.Pointer(obj), f.offset)
	}
	if obj.Event == nil {
		obj.Event = &Event{}
	}
	return unsafe.Add(unsafe.Pointer(obj.Event), f.offset)
}
