package route

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"nearside/matcher"
)

// resolveRemote asks remotes for the objects of references. For objects that are
// not in the local store, it asks the remotes that own data of their origin, then
// the replicas, then the others. Keys also stand for the objects of the owners,
// even if local objects were found. If a remote that may have an object does not
// answer, its error is returned, because it is not certain that the object does not
// exist.
func (r *Router) resolveRemote(ctx context.Context, req *Request, all []resolved) {
	remotes, owners := r.options.Remotes.Current()
	for origin := range matcher.Origins {
		q := &inquiry{req: req, all: all, origin: origin}
		for i := range all {
			q.addReference(i)
		}
		if q.ids == nil && q.keys == nil {
			continue
		}
		for _, rel := range relations {
			for _, m := range remotes {
				if relationOf(m, owners, origin) == rel {
					q.askRemote(ctx, m, rel)
				}
			}
		}
		q.setErrors()
	}
}

// relation is the relation between a remote and an origin.
type relation int

const (
	owner     relation = iota // it owns objects of the origin
	replica                   // it has the objects of the local store
	unrelated                 // it owns other data
)

var relations = []relation{owner, replica, unrelated}

func relationOf(m matcher.Remote, owners *matcher.Owners, origin matcher.Origin) relation {
	switch {
	case owners.Has(m.Name(), origin):
		return owner
	case m.Replica():
		return replica
	}
	return unrelated
}

// inquiry holds the references of a request to objects of one origin for which remotes
// are asked.
type inquiry struct {
	req       *Request
	all       []resolved
	origin    matcher.Origin
	ids, keys []int            // indexes of references that name an ID, a key
	failed    [unrelated]error // the first error of an owner, and of a replica
}

func (q *inquiry) addReference(i int) {
	ref := &q.req.References[i]
	if origin, named := originOf[ref.Type]; named {
		if origin == q.origin && q.all[i].missing() {
			q.ids = append(q.ids, i)
		}
		return
	}
	if k, ok := keyTypes[ref.Type]; ok && k.origin == q.origin && q.all[i].err == nil {
		q.keys = append(q.keys, i)
	}
}

// askRemote asks a remote for the references that are not resolved yet.
func (q *inquiry) askRemote(ctx context.Context, m matcher.Remote, rel relation) {
	err := q.askIDs(ctx, m)
	if err == nil {
		err = q.askKeys(ctx, m, rel)
	}
	if err != nil && rel != unrelated && q.failed[rel] == nil {
		q.failed[rel] = err
	}
}

func (q *inquiry) askIDs(ctx context.Context, m matcher.Remote) error {
	var ids []matcher.ID
	for _, i := range q.ids {
		if id, err := matcher.ParseID(q.req.References[i].ID); err == nil && q.all[i].missing() && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	found, err := findObjects(ctx, m, q, ids)
	if err != nil {
		return err
	}
	for _, i := range q.ids {
		id, err := matcher.ParseID(q.req.References[i].ID)
		if obj := found[id]; err == nil && obj != nil && q.all[i].missing() {
			q.all[i] = resolveObject(q.req, i, obj)
			if q.all[i].err != nil { // the object may have a descriptor of a version that is not registered here
				q.all[i].err = matcher.Errorf(matcher.CodeNoDescriptor, "%w of a version that is registered here", q.all[i].err)
			}
		}
	}
	return nil
}

// askKeys adds objects of m to the keys. An owner may add objects to every key, any
// other remote only to keys without objects.
func (q *inquiry) askKeys(ctx context.Context, m matcher.Remote, rel relation) error {
	var asked []matcher.Reference
	for _, i := range q.keys {
		ref := q.req.References[i]
		same := func(other matcher.Reference) bool { return other.Type == ref.Type && other.ID == ref.ID }
		if (rel == owner || q.all[i].missing()) && !slices.ContainsFunc(asked, same) {
			asked = append(asked, ref)
		}
	}
	if asked == nil {
		return nil
	}
	ids, err := m.Keys(ctx, asked, q.req.Type, q.req.Account, q.req.RequestID)
	if err != nil {
		return err
	}
	asked = q.withinLimit(asked, ids)
	found, err := findObjects(ctx, m, q, slices.Concat(ids[:len(asked)]...))
	if err != nil {
		return err
	}
	for n, ref := range asked {
		for _, i := range q.keys {
			if r := &q.req.References[i]; r.Type == ref.Type && r.ID == ref.ID && (rel == owner || q.all[i].missing()) {
				q.all[i].found = addFound(q.all[i].found, *r, ids[n], found, q.req.Type)
			}
		}
	}
	return nil
}

// withinLimit returns the first keys that together have at most ReferencesMax
// objects, and sets the error of the key that exceeds it.
func (q *inquiry) withinLimit(asked []matcher.Reference, ids [][]matcher.ID) []matcher.Reference {
	n := 0
	for at, ref := range asked {
		if n += len(ids[at]); n <= q.req.ReferencesMax {
			continue
		}
		for _, i := range q.keys {
			if r := &q.req.References[i]; r.Type == ref.Type && r.ID == ref.ID {
				q.all[i].err = matcher.Errorf(matcher.CodeTooMany, "%s: with this key the references are %d or more, the limit is %d", r.Path(".id"), n, q.req.ReferencesMax)
				break
			}
		}
		return asked[:at]
	}
	return asked
}

// findObjects asks a remote for objects and returns them by ID.
func findObjects(ctx context.Context, m matcher.Remote, q *inquiry, ids []matcher.ID) (map[matcher.ID]*matcher.Object, error) {
	objects, err := m.Find(ctx, q.origin, ids, q.req.Account, q.req.RequestID)
	if err != nil {
		return nil, err
	}
	found := make(map[matcher.ID]*matcher.Object, len(objects))
	for i := range objects {
		if q.req.Lists.See(&objects[i]) {
			found[objects[i].ID] = &objects[i]
		}
	}
	return found, nil
}

// addFound adds the objects of ids to the references of a key. The result is
// sorted by ID, without duplicates.
func addFound(before []matcher.Reference, key matcher.Reference, ids []matcher.ID, objects map[matcher.ID]*matcher.Object, t matcher.DescriptorType) []matcher.Reference {
	byID := func(a, b matcher.Reference) int { return a.ObjectID.Compare(b.ObjectID) }
	for _, id := range ids {
		if obj := objects[id]; obj != nil && !obj.Descriptor(t).IsZero() {
			key.ObjectID, key.Descriptor = id, obj.Descriptor(t)
			if at, known := slices.BinarySearchFunc(before, key, byID); !known {
				before = slices.Insert(before, at, key)
			}
		}
	}
	return before
}

// setErrors sets the errors of references whose result is not certain because a
// remote did not answer: it may have an object that was not found, or more objects
// of a key.
func (q *inquiry) setErrors() {
	for _, i := range slices.Concat(q.ids, q.keys) {
		err := q.failed[owner]
		if q.all[i].missing() {
			err = cmp.Or(err, q.failed[replica])
		} else if slices.Contains(q.ids, i) {
			err = nil
		}
		if e, ok := errors.AsType[*matcher.Error](err); ok && e.Path == "" {
			err = matcher.Errorf(e.Code, "%s: %w", q.req.References[i].Path(".id"), err)
		}
		if err != nil {
			q.all[i].err = err
		}
	}
}
