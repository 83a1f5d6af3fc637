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
// have the form of the objects in the HTTP API. The checks and error texts are also
// those of the HTTP API.
func storeModule() vm.Module {
	m := vm.Module{Name: "store", Doc: `Stored objects, as tables like the API's JSON; descriptor data is base64, texts of errors count from 0. Needs the permission "store".`}
	for _, o := range []matcher.Origin{matcher.Faces, matcher.Events} {
		m.Functions = append(m.Functions, objectFunctions(o)...)
	}
	m.Functions = append(m.Functions,
		vm.Function{
			Name: "attach", Params: []string{"list_id: string", "face_ids: string[]"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Puts faces into a list, all or none.", Run: storeFunction(linkFaces("attach")),
		},
		vm.Function{
			Name: "detach", Params: []string{"list_id: string", "face_ids: string[]"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Takes faces out of a list, all or none.", Run: storeFunction(linkFaces("detach")),
		},
		vm.Function{
			Name: "new_list", Params: []string{"list?: {list_id: string?, account_id: string?, user_data: string?}"}, Returns: []string{"string? id", "string? err"}, Waits: true,
			Doc: "Makes a list and returns its id; fails when there is one already.", Run: storeFunction(newList),
		})
	return m
}

// objectFunctions returns the functions for objects of one origin.
func objectFunctions(o matcher.Origin) []vm.Function {
	one, many := o.Singular(), o.String()
	return []vm.Function{
		{
			Name: "put_" + one, Params: []string{one + ": table"}, Returns: []string{"string? id", "string? err"}, Waits: true,
			Doc: "Stores an object, new or in place of the one with its id, and returns the id; id and create_time are made when absent.",
			Run: storeFunction(func(c *vm.Call, s *stored) error {
				ids, err := s.put(c, o, []any{c.Value(1)}, nil)
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(ids[0])
			}),
		},
		{
			Name: "put_" + many, Params: []string{many + ": table[]"}, Returns: []string{"string[]? ids", "string? err"}, Waits: true,
			Doc: fmt.Sprintf("Stores up to %d objects at once, all or none, and returns their ids.", maxPut),
			Run: storeFunction(func(c *vm.Call, s *stored) error {
				list := c.List(1)
				if len(list) > maxPut {
					return c.Fail(fmt.Errorf("%d %s are more than %d", len(list), many, maxPut))
				}
				ids, err := s.put(c, o, list, func(i int, err error) error { return matcher.At(fmt.Sprintf("%s[%d]", many, i), err) })
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(ids)
			}),
		},
		{
			Name: "get_" + one, Params: []string{"id: string"}, Returns: []string{"table?", "string? err"},
			Doc: "Reads an object, with its descriptors.",
			Run: storeFunction(func(c *vm.Call, s *stored) error {
				v, err := s.get(o, c.Text(1))
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(v)
			}),
		},
		{
			Name: "delete_" + one, Params: []string{"id: string"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Removes an object; fails when there is none.",
			Run: storeFunction(func(c *vm.Call, s *stored) error {
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
func storeFunction(f func(*vm.Call, *stored) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		in := self(c)
		if !in.Plugin.Checked.Load() {
			return errors.New("the store can be used from initialize on, not while the file is loading")
		}
		if err := in.Permit("store", ""); err != nil {
			return err
		}
		host := in.Plugin.Host
		s := &stored{&host.Services, host.Clock}
		if s.Store == nil || s.Objects == nil || s.Decoder == nil {
			return errors.New("this host has no store")
		}
		return f(c, s)
	}
}

func linkFaces(action string) func(*vm.Call, *stored) error {
	return func(c *vm.Call, s *stored) error {
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

func newList(c *vm.Call, s *stored) error {
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
