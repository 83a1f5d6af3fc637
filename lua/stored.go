package lua

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Writer is the one way to change what is stored: a *store.Store. What it has
// answered is durable and matched by the next request.
type Writer interface {
	PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error)
	DeleteObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID) error
	Link(ctx context.Context, account *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error
	CreateList(ctx context.Context, l *matcher.List) error
}

// Reader is what was stored: a *memory.Memory.
type Reader interface {
	Get(origin matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool)
}

// stored is what the module works with.
type stored struct {
	*Services
	clock Clock
}

// wait is vm.Call.Wait for a write. A message handler that fails because of it
// is told apart from one that fails because of its message: see verdict.go.
func (s *stored) wait(c *vm.Call, f func(ctx context.Context) error) error {
	return c.Wait(func(ctx context.Context) error {
		err := f(ctx)
		noteStore(ctx, err)
		return err
	})
}

// put stores what scripts gave and returns the ids; at names the place of a
// fault.
func (s *stored) put(c *vm.Call, o matcher.Origin, given []any, at func(i int, err error) error) ([]string, error) {
	ids := make([]string, len(given))
	if len(given) == 0 {
		return ids, nil
	}
	place := func(i int, err error) error {
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
				return place(i, err)
			}
			objects[i], ids[i] = obj, obj.ID.String()
		}
		i, err := s.Store.PutObjects(ctx, nil, objects)
		return place(i, err)
	})
	return ids, err
}

// read makes an object of a script's table, as the server does of a body.
func (s *stored) read(decoder *wire.Decoder, o matcher.Origin, v any) (*matcher.Object, error) {
	if fields, ok := v.(map[string]any); ok {
		for _, list := range []string{"lists", "tags"} { // an empty table has no kind
			if fields[list] == (vm.Empty{}) {
				fields[list] = []any{}
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
	return obj, nil
}

// get returns an object as scripts see it.
func (s *stored) get(o matcher.Origin, text string) (any, error) {
	id, err := objectID(o, text)
	if err != nil {
		return nil, err
	}
	obj, ok := s.Objects.Get(o, id, nil, true)
	if !ok {
		return nil, o.NotFound(id)
	}
	return decodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, true))
}

func objectID(o matcher.Origin, text string) (matcher.ID, error) {
	id, err := matcher.ParseID(text)
	if err != nil {
		return id, matcher.Errorf(matcher.CodeBadInput, "%s_id: %w", o.Singular(), err)
	}
	return id, nil
}

// bodyOf writes a value of a script as the body of a request.
func bodyOf(v any) ([]byte, error) {
	if err := checkUTF8(v); err != nil {
		return nil, matcher.Errorf(matcher.CodeSyntax, "%w", err)
	}
	body, err := encodeJSON(v)
	if err != nil {
		return nil, matcher.Errorf(matcher.CodeBadInput, "%w", err)
	}
	return body, nil
}

// checkUTF8 finds text that JSON cannot carry: encoding/json would replace
// what is wrong with it, in silence.
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
				return fmt.Errorf("key %q: %w", clip(key), err)
			}
			if err := checkUTF8(item); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}
