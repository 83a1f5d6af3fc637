package route

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"nearside/matcher"
)

// there asks remotes for what references stand for. Objects that are not in
// the local store are looked for at those who own some of their origin, then
// at replicas, then at the others; keys stand for the objects of the owners
// too, whatever was found here. That an object does not exist is only said
// when all who should know it have answered.
func (r *Router) there(ctx context.Context, req *Request, all []resolved) {
	remotes, owners := r.options.Remotes.Now()
	for origin := range matcher.Origins {
		q := &inquiry{req: req, all: all, origin: origin}
		for i := range all {
			q.add(i)
		}
		if q.ids == nil && q.keys == nil {
			continue
		}
		for _, rank := range ranks {
			for _, m := range remotes {
				if rankOf(m, owners, origin) == rank {
					q.ask(ctx, m, rank)
				}
			}
		}
		q.settle()
	}
}

// rank says how much a remote has to do with an origin.
type rank int

const (
	owner    rank = iota // it owns objects of it
	replica              // it has what the local store has
	stranger             // it owns something else
)

var ranks = []rank{owner, replica, stranger}

func rankOf(m matcher.Remote, owners *matcher.Owners, origin matcher.Origin) rank {
	switch {
	case owners.Has(m.Name(), origin):
		return owner
	case m.Replica():
		return replica
	}
	return stranger
}

// inquiry is the references to objects of one origin that remotes are asked
// for.
type inquiry struct {
	req       *Request
	all       []resolved
	origin    matcher.Origin
	ids, keys []int           // references of the request
	failed    [stranger]error // the first, by rank, of remotes that should know
}

func (q *inquiry) add(i int) {
	ref := &q.req.References[i]
	if origin, named := byID[ref.Type]; named {
		if origin == q.origin && q.all[i].missing() {
			q.ids = append(q.ids, i)
		}
		return
	}
	if k, ok := keys[ref.Type]; ok && k.origin == q.origin && q.all[i].err == nil {
		q.keys = append(q.keys, i)
	}
}

// ask lets a remote say what is still open.
func (q *inquiry) ask(ctx context.Context, m matcher.Remote, rank rank) {
	err := q.askIDs(ctx, m)
	if err == nil {
		err = q.askKeys(ctx, m, rank)
	}
	if err != nil && rank != stranger && q.failed[rank] == nil {
		q.failed[rank] = err
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
	found, err := find(ctx, m, q, ids)
	if err != nil {
		return err
	}
	for _, i := range q.ids {
		id, err := matcher.ParseID(q.req.References[i].ID)
		if obj := found[id]; err == nil && obj != nil && q.all[i].missing() {
			q.all[i] = object(q.req, i, obj)
			if q.all[i].err != nil { // what it has of versions that are not registered here was left out
				q.all[i].err = matcher.Errorf(matcher.CodeNoDescriptor, "%w of a version that is registered here", q.all[i].err)
			}
		}
	}
	return nil
}

// askKeys adds what m has to the objects that keys stand for. Only an owner
// has others than those that are known already.
func (q *inquiry) askKeys(ctx context.Context, m matcher.Remote, rank rank) error {
	var asked []matcher.Reference
	for _, i := range q.keys {
		ref := matcher.Reference{Type: q.req.References[i].Type, ID: q.req.References[i].ID}
		same := func(other matcher.Reference) bool { return other.Type == ref.Type && other.ID == ref.ID }
		if (rank == owner || q.all[i].missing()) && !slices.ContainsFunc(asked, same) {
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
	asked = q.within(asked, ids)
	found, err := find(ctx, m, q, slices.Concat(ids[:len(asked)]...))
	if err != nil {
		return err
	}
	for n, ref := range asked {
		for _, i := range q.keys {
			if r := &q.req.References[i]; r.Type == ref.Type && r.ID == ref.ID && (rank == owner || q.all[i].missing()) {
				q.all[i].found = join(q.all[i].found, ref, ids[n], found, q.req.Type)
			}
		}
	}
	return nil
}

// within returns the keys that stand for no more objects than a request may
// have. The first one beyond is refused, unless there is a fault before it.
func (q *inquiry) within(asked []matcher.Reference, ids [][]matcher.ID) []matcher.Reference {
	n := 0
	for at, ref := range asked {
		if n += len(ids[at]); n <= q.req.ReferencesMax {
			continue
		}
		for _, i := range q.keys {
			if r := &q.req.References[i]; r.Type == ref.Type && r.ID == ref.ID {
				q.all[i].err = matcher.Errorf(matcher.CodeTooMany, "references[%d].id: references: %d or more, the limit is %d", i, n, q.req.ReferencesMax)
				break
			}
		}
		return asked[:at]
	}
	return asked
}

// find returns objects of a remote by their IDs.
func find(ctx context.Context, m matcher.Remote, q *inquiry, ids []matcher.ID) (map[matcher.ID]*matcher.Object, error) {
	objects, err := m.Find(ctx, q.origin, ids, q.req.Account, q.req.RequestID)
	if err != nil {
		return nil, err
	}
	found := make(map[matcher.ID]*matcher.Object, len(objects))
	for i := range objects {
		found[objects[i].ID] = &objects[i]
	}
	return found, nil
}

// join adds the objects of ids to what a key stands for, by ID, each once.
func join(before []matcher.Reference, key matcher.Reference, ids []matcher.ID, objects map[matcher.ID]*matcher.Object, t matcher.DescriptorType) []matcher.Reference {
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

// settle says what remotes that do not answer leave open: what was not found
// may be there, and keys may stand for more.
func (q *inquiry) settle() {
	for _, i := range slices.Concat(q.ids, q.keys) {
		err := q.failed[owner]
		if q.all[i].missing() {
			err = cmp.Or(err, q.failed[replica])
		} else if slices.Contains(q.ids, i) {
			err = nil
		}
		if e, ok := errors.AsType[*matcher.Error](err); ok {
			err = matcher.Errorf(e.Code, "references[%d].id: %w", i, err)
		}
		if err != nil {
			q.all[i].err = err
		}
	}
}
