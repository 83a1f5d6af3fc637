package ns

import (
	"slices"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// object returns r for a script.
func (r *row) object(c *vm.Call) (any, error) {
	if r.boxed == nil {
		boxed, err := c.Box(vm.Object{Class: rowClass, Value: r})
		if err != nil {
			return nil, err
		}
		r.boxed = boxed
	}
	return r.boxed, nil
}

// callWith calls a Lua function with rows and returns its first result.
func callWith(c *vm.Call, fn *vm.Func, rows ...*row) (any, error) {
	var scratch [2]any
	args := scratch[:0]
	for _, r := range rows {
		object, err := r.object(c)
		if err != nil {
			return nil, err
		}
		args = append(args, object)
	}
	return c.InvokeFirst(fn, args...)
}

// rowClass is the class of one row of an answer. It has the fields of all origins.
var rowClass = &vm.Class{
	Name: "Row", Doc: "A row of an answer. It has the fields of the object, also those that the answer does not show; nil: the object does not have the field.",
	Fields: append([]vm.Value{
		{Name: "id", Type: "string", Doc: "The id of the object.", Get: readRow(func(r *row) any { return r.match.ID.String() }), Direct: true},
		{Name: "similarity", Type: "number", Doc: "The similarity, 0 to 1.", Get: readRow(func(r *row) any { return r.match.Similarity }), Direct: true},
		{Name: "distance", Type: "number", Doc: "The distance.", Get: readRow(func(r *row) any { return r.match.Distance }), Direct: true},
		{Name: "group", Type: "string?", Doc: "The value by which the answer is grouped.", Get: readRow(func(r *row) any { return textOrNil(r.match.Group) }), Direct: true},
		{Name: "extra", Type: "table", Doc: "A new table of the fields that plugins have added.", Get: readExtra},
	}, objectFields()...),
}

// readRow returns a function that reads a field of a row. After the hook has ended, it
// returns an error.
func readRow(get func(r *row) any) func(*vm.Call) any {
	return func(c *vm.Call) any {
		r := c.Self().(*row)
		r.list.mu.Lock()
		defer r.list.mu.Unlock()
		if r.list.ended {
			return errRowsEnded
		}
		return get(r)
	}
}

// readExtra returns the field extra of a row.
func readExtra(c *vm.Call) any {
	return readRow(func(r *row) any { return extraTable(c, r) })(c)
}

// extraTable returns the added fields as values for a script.
func extraTable(c *vm.Call, r *row) any {
	t := make(map[string]any, len(r.extra))
	for _, e := range r.extra {
		if err := chargeDecoding(c, e.JSON); err != nil {
			return err
		}
		if v, err := goval.DecodeJSON([]byte(e.JSON)); err == nil {
			t[e.Name] = v
		}
	}
	return t
}

// objectFields returns the fields of objects of all origins.
func objectFields() []vm.Value {
	var all []vm.Value
	seen := map[string]bool{"similarity": true, "distance": true}
	for o := range matcher.Origins {
		for _, name := range wire.Targets(o) {
			if !seen[name] {
				seen[name] = true
				all = append(all, vm.Value{
					Name: name, Type: "any", Doc: "The field " + name + " of the object, as in answers.",
					Get: readRow(func(r *row) any { return r.value(name) }), Direct: true,
				})
			}
		}
	}
	return all
}

// plainFields are the plain fields without a group, by origin and name.
var plainFields = func() (by [matcher.Origins]map[string]*matcher.Field) {
	for o := range by {
		by[o] = map[string]*matcher.Field{}
		for _, f := range matcher.Fields(matcher.Origin(o)) {
			if f.Group == "" {
				by[o][f.Name] = f
			}
		}
	}
	return by
}()

// idFields are the names of the ids of objects.
var idFields = func() (names [matcher.Origins]string) {
	for o := range names {
		names[o] = matcher.Origin(o).Singular() + "_id"
	}
	return names
}()

// value returns a field of the row's object as a value for a script; nil: the object does
// not have it.
func (r *row) value(name string) any {
	o := r.list.origin
	obj := r.match.Object
	switch f := plainFields[o][name]; {
	case name == idFields[o]:
		return r.match.ID.String()
	case name == "similarity":
		return r.match.Similarity
	case name == "distance":
		return r.match.Distance
	case obj == nil:
		return nil
	case f != nil && f.Kind == matcher.TextField:
		return textOrNil(f.Text(obj))
	case f != nil && f.Kind == matcher.UUIDField:
		if id := f.UUID(obj); !id.IsZero() {
			return id.String()
		}
		return nil
	case f != nil && f.Kind == matcher.SmallField:
		if n, ok := f.Small(obj).Get(); ok {
			return float64(n)
		}
		return nil
	}
	return fieldAsWritten(obj, name)
}

// fieldAsWritten returns a field of an object as answers show it; nil: the object does not
// have it.
func fieldAsWritten(obj *matcher.Object, name string) any {
	if !slices.Contains(wire.Targets(obj.Origin), name) {
		return nil
	}
	decoded, err := goval.DecodeJSON(wire.AppendObject(nil, wire.JSON, obj, []string{name}, wire.NoDescriptors))
	if err != nil {
		return nil
	}
	fields, _ := decoded.(map[string]any)
	if _, null := fields[name].(vm.Null); null {
		return nil
	}
	return fields[name]
}
