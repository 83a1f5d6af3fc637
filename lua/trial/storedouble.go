package trial

import (
	"context"
	"maps"
	"slices"
	"sync"

	"nearside/lua/goval"
	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// A storeDouble is the store of one test. It keeps objects in memory and implements
// [ns.ObjectWriter].
type storeDouble struct {
	memory *trialMemory
	// changed is called for each change that was applied, in order.
	changed func(c *store.Change)

	mu      sync.Mutex
	objects map[storeKey]*matcher.Object // without descriptors
	lists   map[matcher.ID]*matcher.List
	values  map[matcher.ID][]byte // of ns.kv
	down    string                // why writes fail; empty: they work
}

type storeKey struct {
	origin matcher.Origin
	id     matcher.ID
}

// lock locks the store for a write. If the test has set the store down, lock returns an
// error and does not lock it.
func (s *storeDouble) lock() error {
	s.mu.Lock()
	if s.down != "" {
		s.mu.Unlock()
		return matcher.Errorf(matcher.CodeUnavailable, "%s", s.down)
	}
	return nil
}

// PutObjects implements [ns.ObjectWriter].
func (s *storeDouble) PutObjects(ctx context.Context, _ *matcher.ID, objects []*matcher.Object) (int, error) {
	if err := s.lock(); err != nil {
		return -1, err
	}
	defer s.mu.Unlock()
	for i, obj := range objects {
		if err := s.checkObject(obj); err != nil {
			return i, err
		}
	}
	for _, obj := range objects {
		slices.SortFunc(obj.Lists, matcher.ID.Compare)
		obj.Lists = slices.Compact(obj.Lists)
		s.put(ctx, obj)
	}
	return 0, nil
}

// checkObject returns an error if obj cannot be stored. If obj has no account and replaces a
// stored object, it takes over the account of that object.
func (s *storeDouble) checkObject(obj *matcher.Object) error {
	if s.objects[storeKey{obj.Origin, obj.ID}] != nil {
		old, _ := s.memory.Get(obj.Origin, obj.ID, nil, false)
		if !obj.Account.IsZero() && obj.Account != old.Account {
			return matcher.Errorf(matcher.CodeBadInput, "account_id: %s cannot be changed to %s", matcher.AccountText(old.Account), obj.Account)
		}
		obj.Account = old.Account
	}
	for n, id := range obj.Lists {
		switch l := s.lists[id]; {
		case l == nil:
			return matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", n, id)
		case !store.MayJoin(obj.Account, l.Account):
			return matcher.Errorf(matcher.CodeForbidden, "lists[%d]: %s belongs to another account than the %s", n, id, obj.Origin.Singular())
		}
	}
	return nil
}

// DeleteObject implements [ns.ObjectWriter].
func (s *storeDouble) DeleteObject(ctx context.Context, _ *matcher.ID, o matcher.Origin, id matcher.ID) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.objects[storeKey{o, id}] == nil {
		return o.NotFound(id)
	}
	s.delete(ctx, o, id)
	return nil
}

// Link implements [ns.ObjectWriter].
func (s *storeDouble) Link(ctx context.Context, _ *matcher.ID, list matcher.ID, faces []matcher.ID, attach bool) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	l := s.lists[list]
	if l == nil {
		return matcher.ListNotFound(list)
	}
	for i, id := range faces {
		if s.objects[storeKey{matcher.Faces, id}] == nil {
			return matcher.Errorf(matcher.CodeFaceNotFound, "face_ids[%d]: %s does not exist", i, id)
		}
		if obj, _ := s.memory.Get(matcher.Faces, id, nil, false); attach && !store.MayJoin(obj.Account, l.Account) {
			return matcher.Errorf(matcher.CodeForbidden, "face_ids[%d]: %s belongs to another account than the list %s", i, id, list)
		}
	}
	for _, id := range faces {
		obj, _ := s.memory.Get(matcher.Faces, id, nil, true)
		if slices.Contains(obj.Lists, list) == attach {
			continue
		}
		obj.Lists = slices.DeleteFunc(slices.Clone(obj.Lists), func(l matcher.ID) bool { return l == list })
		if attach {
			obj.Lists = append(obj.Lists, list)
			slices.SortFunc(obj.Lists, matcher.ID.Compare)
		}
		s.put(ctx, &obj)
	}
	return nil
}

// CreateList implements [ns.ObjectWriter].
func (s *storeDouble) CreateList(ctx context.Context, l *matcher.List) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.lists[l.ID] != nil {
		return matcher.Errorf(matcher.CodeListExists, "list_id: %s exists already", l.ID)
	}
	s.lists[l.ID] = l
	s.apply(ctx, store.Change{Kind: store.PutList, List: l})
	return nil
}

// listObjects returns the objects of an origin in the form of the API, sorted by id.
func (s *storeDouble) listObjects(o matcher.Origin) ([]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []matcher.ID
	for key := range s.objects {
		if key.origin == o {
			ids = append(ids, key.id)
		}
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	objects := []any{}
	for _, id := range ids {
		obj, _ := s.memory.Get(o, id, nil, true)
		v, err := goval.DecodeJSON(wire.AppendObject(nil, wire.JSON, &obj, nil, wire.BinaryDescriptors))
		if err != nil {
			return nil, err
		}
		objects = append(objects, v)
	}
	return objects, nil
}

// apply applies a change and reports it. The caller holds the lock.
func (s *storeDouble) apply(ctx context.Context, c store.Change) {
	c.Cause = matcher.CauseOf(ctx)
	s.memory.Apply([]store.Change{c})
	s.changed(&c)
}

// put stores an object that was checked. The caller holds the lock.
func (s *storeDouble) put(ctx context.Context, obj *matcher.Object) {
	kept := *obj
	kept.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	s.objects[storeKey{obj.Origin, obj.ID}] = &kept
	s.apply(ctx, store.Change{Kind: store.PutObject, Object: obj})
}

// delete deletes an object that exists. The caller holds the lock.
func (s *storeDouble) delete(ctx context.Context, o matcher.Origin, id matcher.ID) {
	old := s.objects[storeKey{o, id}]
	if current, ok := s.memory.Get(o, id, nil, false); ok { // else it has expired
		old = &current // without lists that were deleted
	}
	delete(s.objects, storeKey{o, id})
	s.apply(ctx, store.Change{Kind: store.DeleteObject, Origin: o, ID: id, Object: old})
}

// PatchObject implements [ns.ObjectWriter].
func (s *storeDouble) PatchObject(ctx context.Context, _ *matcher.ID, o matcher.Origin, id matcher.ID, patch func(*matcher.Object) error) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.objects[storeKey{o, id}] == nil {
		return o.NotFound(id)
	}
	obj, _ := s.memory.Get(o, id, nil, true)
	if err := patch(&obj); err != nil {
		return err
	}
	obj.Origin, obj.ID = o, id
	if err := s.checkObject(&obj); err != nil {
		return err
	}
	slices.SortFunc(obj.Lists, matcher.ID.Compare)
	obj.Lists = slices.Compact(obj.Lists)
	s.put(ctx, &obj)
	return nil
}

// DeleteFound implements [ns.ObjectWriter].
func (s *storeDouble) DeleteFound(ctx context.Context, o matcher.Origin, find store.FindFunc) (int, error) {
	if err := s.lock(); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	ids, err := find(nil)
	if err != nil {
		return 0, err
	}
	slices.SortFunc(ids, matcher.ID.Compare) // as the store does
	for _, id := range ids {
		s.delete(ctx, o, id)
	}
	return len(ids), nil
}

// deleteList deletes a list as a client does. It returns false if the list does not exist.
func (s *storeDouble) deleteList(ctx context.Context, id matcher.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lists[id]
	if l == nil {
		return false
	}
	delete(s.lists, id)
	s.apply(ctx, store.Change{Kind: store.DeleteList, ID: id, List: l})
	return true
}

// Owners implements [ns.ObjectWriter].
func (s *storeDouble) Owners() *matcher.Owners { return nil }

// PutValues implements [ns.ValueStore].
func (s *storeDouble) PutValues(_ context.Context, values []store.Value) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, v := range values {
		if v.Data == nil {
			delete(s.values, v.Key)
		} else {
			s.values[v.Key] = v.Data
		}
	}
	return nil
}

// EachValue implements [ns.ValueStore].
func (s *storeDouble) EachValue(_ context.Context, f func(v store.Value) error) error {
	s.mu.Lock()
	all := maps.Clone(s.values)
	s.mu.Unlock()
	for _, key := range slices.SortedFunc(maps.Keys(all), matcher.ID.Compare) {
		if err := f(store.Value{Key: key, Data: all[key]}); err != nil {
			return err
		}
	}
	return nil
}

// expire deletes the attributes that have expired, as the server does every second.
func (s *storeDouble) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := matcher.WithCause(context.Background(), matcher.CauseExpiry)
	ids := s.memory.Expired(store.DeleteBatch)
	slices.SortFunc(ids, matcher.ID.Compare)
	for _, id := range ids {
		s.delete(ctx, matcher.Attributes, id)
	}
}
