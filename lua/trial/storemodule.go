package trial

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// The functions in this file change the store of a test as a client of the server does. So
// the plugin receives the events about these changes.

// clientWrite returns a function that calls f with the running test, while the plugin runs.
// f returns the result for the script.
func clientWrite(prepare func(c *vm.Call, t *trial) (f func(ctx context.Context) (any, error), err error)) func(*vm.Call) error {
	return func(c *vm.Call) error {
		t, err := trialOf(c)
		if err != nil {
			return err
		}
		if t.store == nil {
			return errors.New("there is no store yet: call test.start first")
		}
		f, err := prepare(c, t)
		if err != nil {
			return err
		}
		var result any
		err = c.Wait(func(ctx context.Context) error {
			return t.runUntilIdle(ctx, func(ctx context.Context) (err error) {
				result, err = f(ctx)
				return err
			})
		})
		if err != nil {
			return err
		}
		return c.Return(result)
	}
}

func trialPut(o matcher.Origin) vm.Function {
	params := []string{o.Singular() + ": table"}
	if o == matcher.Attributes {
		params = append(params, "ttl?: integer")
	}
	return vm.Function{
		Name: "put_" + o.Singular(), Params: params, Returns: []string{"string id"}, Waits: true,
		Doc: "Stores an object as a client does. A descriptor is a list of up to 16 integers from 0 to 255, and may be missing. Raises an error if the object is refused." + ttlDoc(o),
		Run: clientWrite(func(c *vm.Call, t *trial) (func(ctx context.Context) (any, error), error) {
			obj, err := t.store.memory.clientObject(o, c.Map(1))
			if err != nil {
				return nil, err
			}
			if obj.CreateTime == 0 {
				obj.CreateTime = matcher.TimeOf(t.clock.Now())
			}
			if o == matcher.Attributes {
				ttl := 300
				if c.Has(2) {
					ttl = c.Count(2, 1)
				}
				obj.Expires = matcher.TimeOf(t.clock.Now().Add(time.Duration(min(ttl, math.MaxInt32)) * time.Second))
			}
			id := obj.ID.String()
			return func(ctx context.Context) (any, error) {
				_, err := t.store.PutObjects(ctx, nil, []*matcher.Object{obj})
				return id, err
			}, nil
		}),
	}
}

func ttlDoc(o matcher.Origin) string {
	if o != matcher.Attributes {
		return ""
	}
	return " It expires after ttl seconds (default 300)."
}

// clientObject returns the object of a client's request. Missing descriptors are all 0.
func (m *trialMemory) clientObject(o matcher.Origin, given map[string]any) (*matcher.Object, error) {
	fields := map[string]any{}
	if given != nil {
		fields = goval.Clone(given).(map[string]any)
	}
	if err := replaceDescriptors(o, fields); err != nil {
		return nil, err
	}
	for _, list := range []string{"lists", "tags"} {
		if v, ok := fields[list].(map[string]any); ok && len(v) == 0 {
			fields[list] = []any{}
		}
	}
	body, err := goval.EncodeRequest(fields)
	if err != nil {
		return nil, err
	}
	in, err := m.decoder.Object(o, wire.JSON, body)
	if err != nil {
		return nil, err
	}
	if !in.HasID {
		in.Object.ID = matcher.NewID()
	}
	return &in.Object, nil
}

// replaceDescriptors replaces the lists of numbers in the fields of an object by
// descriptors.
func replaceDescriptors(o matcher.Origin, fields map[string]any) error {
	versions := [matcher.DescriptorTypes]uint32{matcher.FaceDescriptor: trialVersion, matcher.BodyDescriptor: trialBodyVersion}
	names := wire.DescriptorNames(o)
	for t, name := range names {
		missing := t == int(matcher.FaceDescriptor) && fields[names[matcher.BodyDescriptor]] == nil
		if _, isTable := fields[name].(map[string]any); isTable || fields[name] == nil && !missing {
			continue
		}
		descriptor, err := trialDescriptor(fields[name], versions[t])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fields[name] = descriptor
	}
	return nil
}

func trialPutList() vm.Function {
	return vm.Function{
		Name: "put_list", Params: []string{"list?: {list_id: string?, account_id: string?, user_data: string?}"}, Returns: []string{"string id"}, Waits: true,
		Doc: "Creates a list as a client does. Raises an error if it is refused.",
		Run: clientWrite(func(c *vm.Call, t *trial) (func(ctx context.Context) (any, error), error) {
			given := c.Map(1)
			if given == nil {
				given = map[string]any{}
			}
			body, err := goval.EncodeRequest(given)
			if err != nil {
				return nil, err
			}
			in, err := t.store.memory.decoder.List(wire.JSON, body)
			if err != nil {
				return nil, err
			}
			l := &in.List
			if !in.HasID {
				l.ID = matcher.NewID()
			}
			l.CreateTime = matcher.TimeOf(t.clock.Now())
			return func(ctx context.Context) (any, error) { return l.ID.String(), t.store.CreateList(ctx, l) }, nil
		}),
	}
}

func trialDelete(o matcher.Origin) vm.Function {
	return vm.Function{
		Name: "delete_" + o.Singular(), Params: []string{"id: string"}, Waits: true,
		Doc: "Deletes an object as a client does. Raises an error if it does not exist.",
		Run: clientWrite(func(c *vm.Call, t *trial) (func(ctx context.Context) (any, error), error) {
			id, err := matcher.ParseID(c.Text(1))
			return func(ctx context.Context) (any, error) { return nil, t.store.DeleteObject(ctx, nil, o, id) }, err
		}),
	}
}

func trialDeleteList() vm.Function {
	return vm.Function{
		Name: "delete_list", Params: []string{"id: string"}, Waits: true,
		Doc: "Deletes a list as a client does. Raises an error if it does not exist.",
		Run: clientWrite(func(c *vm.Call, t *trial) (func(ctx context.Context) (any, error), error) {
			id, err := matcher.ParseID(c.Text(1))
			return func(ctx context.Context) (any, error) {
				if !t.store.deleteList(ctx, id) {
					return nil, matcher.ListNotFound(id)
				}
				return nil, nil
			}, err
		}),
	}
}

func trialExpire() vm.Function {
	return vm.Function{
		Name: "expire", Waits: true,
		Doc: "Deletes the attributes that have expired by the clock of the test. A server does this every second.",
		Run: clientWrite(func(_ *vm.Call, t *trial) (func(ctx context.Context) (any, error), error) {
			return func(context.Context) (any, error) {
				t.store.expire()
				return nil, nil
			}, nil
		}),
	}
}
