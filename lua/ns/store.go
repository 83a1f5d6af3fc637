package ns

import (
	"context"
	"errors"
	"fmt"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// maxPut is the maximum number of objects in one call.
const maxPut = 1000

// storeModule is ns.store. It reads and writes the objects of all accounts. Its tables
// have the fields of the objects in the HTTP API, with the same checks and error texts.
func storeModule() vm.Module {
	m := vm.Module{Name: "store", Doc: `Reads and writes stored objects. They are tables with the fields of the HTTP API's JSON; the data of descriptors is base64. Positions in error texts count from 0, as in the HTTP API. Needs the permission "store".`}
	for _, o := range []matcher.Origin{matcher.Faces, matcher.Events} {
		m.Functions = append(m.Functions, objectFunctions(o)...)
	}
	m.Functions = append(m.Functions,
		vm.Function{
			Name: "attach", Params: []string{"list_id: string", "face_ids: string[]"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Adds faces to a list, all or none.", Run: storeFunction(linkFaces("attach")),
		},
		vm.Function{
			Name: "detach", Params: []string{"list_id: string", "face_ids: string[]"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Removes faces from a list, all or none.", Run: storeFunction(linkFaces("detach")),
		},
		vm.Function{
			Name: "new_list", Params: []string{"list?: {list_id: string?, account_id: string?, user_data: string?}"}, Returns: []string{"string? id", "string? err"}, Waits: true,
			Doc: "Creates a list and returns its id. Fails if a list with this id exists.", Run: storeFunction(newList),
		})
	return m
}

// objectFunctions returns the functions for objects of one origin.
func objectFunctions(o matcher.Origin) []vm.Function {
	singular, plural := o.Singular(), o.String()
	return []vm.Function{
		{
			Name: "put_" + singular, Params: []string{singular + ": table"}, Returns: []string{"string? id", "string? err"}, Waits: true,
			Doc: "Stores an object and returns its id. It replaces the object with the same id, if any. If the id or create_time is missing, it is generated.",
			Run: storeFunction(func(c *vm.Call, s *objectStore) error {
				ids, err := s.put(c, o, []any{c.Value(1)}, nil)
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(ids[0])
			}),
		},
		{
			Name: "put_" + plural, Params: []string{plural + ": table[]"}, Returns: []string{"string[]? ids", "string? err"}, Waits: true,
			Doc: fmt.Sprintf("Stores up to %d objects at once, all or none, and returns their ids.", maxPut),
			Run: storeFunction(func(c *vm.Call, s *objectStore) error {
				list := c.List(1)
				if len(list) > maxPut {
					return c.Fail(fmt.Errorf("%s: must have at most %d objects, got %d", plural, maxPut, len(list)))
				}
				ids, err := s.put(c, o, list, func(i int, err error) error { return matcher.At(fmt.Sprintf("%s[%d]", plural, i), err) })
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(ids)
			}),
		},
		{
			Name: "get_" + singular, Params: []string{"id: string"}, Returns: []string{"table?", "string? err"},
			Doc: "Returns an object with its descriptors. Fails if it does not exist.",
			Run: storeFunction(func(c *vm.Call, s *objectStore) error {
				v, err := s.get(o, c.Text(1))
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(v)
			}),
		},
		{
			Name: "delete_" + singular, Params: []string{"id: string"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Deletes an object. Fails if it does not exist.",
			Run: storeFunction(func(c *vm.Call, s *objectStore) error {
				id, err := objectID(o, c.Text(1))
				if err == nil {
					err = s.wait(c, func(ctx context.Context) error { return s.Store.DeleteObject(ctx, nil, o, id) })
				}
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(true)
			}),
		},
	}
}

// storeFunction returns a function that runs f if the plugin may use the store.
func storeFunction(f func(*vm.Call, *objectStore) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		in := self(c)
		if !in.Plugin.Checked.Load() {
			return errors.New("the store can be used from initialize on, not while the file is loading")
		}
		if err := in.Permit("store", ""); err != nil {
			return err
		}
		host := in.Plugin.Host
		s := &objectStore{&host.Services, host.Clock}
		if s.Store == nil || s.Objects == nil || s.Decoder == nil {
			return errors.New("this host has no store")
		}
		return f(c, s)
	}
}

// linkFaces returns the function for an action on the faces of a list: "attach" or
// "detach".
func linkFaces(action string) func(*vm.Call, *objectStore) error {
	return func(c *vm.Call, s *objectStore) error {
		ids := c.List(2)
		if ids == nil {
			ids = []any{}
		}
		body, err := bodyOf(map[string]any{"action": action, "list_id": c.Text(1), "face_ids": ids})
		if err == nil {
			err = s.wait(c, func(ctx context.Context) error {
				r, err := s.Decoder().Linker(wire.JSON, body)
				if err != nil {
					return err
				}
				return s.Store.Link(ctx, nil, r.ListID, r.FaceIDs, r.Attach)
			})
		}
		if err != nil {
			return c.Fail(err)
		}
		return c.Return(true)
	}
}

// newList implements ns.store.new_list.
func newList(c *vm.Call, s *objectStore) error {
	var given any = vm.Empty{}
	if c.Has(1) {
		given = c.Value(1)
	}
	body, err := bodyOf(given)
	if err != nil {
		return c.Fail(err)
	}
	in, err := s.Decoder().List(wire.JSON, body)
	if err != nil {
		return c.Fail(err)
	}
	l := &in.List
	if !in.HasID {
		l.ID = matcher.NewID()
	}
	l.CreateTime = matcher.TimeOf(s.clock.Now())
	id := l.ID.String() // CreateList takes ownership of l
	if err := s.wait(c, func(ctx context.Context) error { return s.Store.CreateList(ctx, l) }); err != nil {
		return c.Fail(err)
	}
	return c.Return(id)
}
