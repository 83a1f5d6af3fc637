package ns

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/store"
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
	m.Functions = append(m.Functions, queryFunctions()...)
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
		s := &objectStore{&host.Services, host.Clock, matcher.PluginCause(in.Plugin.About.Name)}
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

// An ObjectWriter changes the stored objects. It is a *store.Store. When a method returns
// without an error, the change is durable and visible to the next match.
type ObjectWriter interface {
	PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error)
	PatchObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID, patch func(*matcher.Object) error) error
	DeleteObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID) error
	DeleteFound(ctx context.Context, origin matcher.Origin, find store.FindFunc) (deleted int, err error)
	Link(ctx context.Context, account *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error
	CreateList(ctx context.Context, l *matcher.List) error
	Owners() *matcher.Owners
}

// An ObjectReader reads the stored objects. It is a *memory.Memory.
type ObjectReader interface {
	Get(origin matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool)
	Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, p matcher.Page) (objects []matcher.Object, count int, err error)
	Finder(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) func(among []matcher.ID) ([]matcher.ID, error)
	Lists(account *matcher.ID, p matcher.Page) (lists []matcher.List, count int)
	List(ctx context.Context, id matcher.ID, account *matcher.ID) (list matcher.List, faces int, ok bool)
}

// objectStore holds the services that the functions of ns.store use.
type objectStore struct {
	*Services
	clock Clock
	cause matcher.Cause // of writes
}

// wait is like vm.Call.Wait, for a write. It records the outcome for the message handler,
// if any, so that a failure of the store does not use an attempt of the message (see
// recordStoreOutcome).
func (s *objectStore) wait(c *vm.Call, f func(ctx context.Context) error) error {
	return c.Wait(func(ctx context.Context) error {
		err := f(matcher.WithCause(ctx, s.cause))
		recordStoreOutcome(ctx, err)
		return err
	})
}

// put stores the objects that a script passed and returns their ids. at adds the
// position of an object to its error; it may be nil.
func (s *objectStore) put(c *vm.Call, o matcher.Origin, given []any, at func(i int, err error) error) ([]string, error) {
	ids := make([]string, len(given))
	if len(given) == 0 {
		return ids, nil
	}
	locate := func(i int, err error) error {
		if at == nil || i < 0 {
			return err
		}
		return at(i, err)
	}
	err := s.wait(c, func(ctx context.Context) error {
		decoder, objects := s.Decoder(), make([]*matcher.Object, len(given))
		for i, v := range given {
			obj, err := s.read(decoder, o, v)
			if err != nil {
				return locate(i, err)
			}
			objects[i], ids[i] = obj, obj.ID.String()
		}
		i, err := s.Store.PutObjects(ctx, nil, objects)
		return locate(i, err)
	})
	return ids, err
}

// read converts a script's table to an object, as the server converts a request body.
func (s *objectStore) read(decoder *wire.Decoder, o matcher.Origin, v any) (*matcher.Object, error) {
	if fields, ok := v.(map[string]any); ok {
		for _, list := range []string{"lists", "tags"} { // an empty table may be a list or an object
			if fields[list] != nil {
				fields[list] = listOf(fields[list])
			}
		}
	}
	body, err := bodyOf(v)
	if err != nil {
		return nil, err
	}
	in, err := decoder.Object(o, wire.JSON, body)
	if err != nil {
		return nil, err
	}
	obj := &in.Object
	if !in.HasID {
		obj.ID = matcher.NewID()
	}
	if !in.HasTime {
		obj.CreateTime = matcher.TimeOf(s.clock.Now())
	}
	if limit := decoder.Limits.LineBytes; limit > 0 {
		return obj, wire.CheckLine(obj, limit)
	}
	return obj, nil
}

// get returns an object as a table for scripts.
func (s *objectStore) get(o matcher.Origin, text string) (any, error) {
	id, err := objectID(o, text)
	if err != nil {
		return nil, err
	}
	obj, ok := s.Objects.Get(o, id, nil, true)
	if !ok {
		return nil, o.NotFound(id)
	}
	return goval.DecodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, wire.BinaryDescriptors))
}

func objectID(o matcher.Origin, text string) (matcher.ID, error) {
	id, err := matcher.ParseID(text)
	if err != nil {
		return id, matcher.Errorf(matcher.CodeBadInput, "%s_id: %w", o.Singular(), err)
	}
	return id, nil
}

// bodyOf encodes a script's value as the body of a request.
func bodyOf(v any) ([]byte, error) {
	if err := checkUTF8(v); err != nil {
		return nil, matcher.Errorf(matcher.CodeSyntax, "%w", err)
	}
	body, err := goval.EncodeRequest(v)
	if err != nil {
		return nil, matcher.Errorf(matcher.CodeBadInput, "%w", err)
	}
	return body, nil
}

// checkUTF8 returns an error if v contains text that is not UTF-8. JSON cannot
// represent such text; encoding/json would silently replace the invalid bytes.
func checkUTF8(v any) error {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return errors.New("not UTF-8")
		}
	case []any:
		for i, item := range v {
			if err := checkUTF8(item); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case map[string]any:
		for key, item := range v {
			if err := checkUTF8(key); err != nil {
				return fmt.Errorf("key %q: %w", goval.Shorten(key), err)
			}
			if err := checkUTF8(item); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}
