package ns

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// An ObjectWriter changes the stored objects. It is a *store.Store. When a method returns
// without an error, the change is durable and visible to the next match.
type ObjectWriter interface {
	PutObjects(ctx context.Context, account *matcher.ID, objects []*matcher.Object) (index int, err error)
	DeleteObject(ctx context.Context, account *matcher.ID, origin matcher.Origin, id matcher.ID) error
	Link(ctx context.Context, account *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error
	CreateList(ctx context.Context, l *matcher.List) error
}

// An ObjectReader reads the stored objects. It is a *memory.Memory.
type ObjectReader interface {
	Get(origin matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool)
}

// objectStore holds the services that the functions of ns.store use.
type objectStore struct {
	*Services
	clock Clock
}

// wait is like vm.Call.Wait, for a write. It records the outcome for the message handler,
// if any, so that a failure of the store does not use an attempt of the message (see
// recordStoreOutcome).
func (s *objectStore) wait(c *vm.Call, f func(ctx context.Context) error) error {
	return c.Wait(func(ctx context.Context) error {
		err := f(ctx)
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
	return goval.DecodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, true))
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
	body, err := goval.EncodeJSON(v)
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
