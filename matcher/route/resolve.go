package route

import (
	"context"

	"nearside/matcher"
)

// byID maps the reference types that name one object by its ID.
var byID = map[matcher.ReferenceType]matcher.Origin{
	matcher.RefFace: matcher.Faces, matcher.RefEvent: matcher.Events, matcher.RefAttribute: matcher.Attributes,
}

// resolved is what a reference of a request stands for.
type resolved struct {
	found []matcher.Reference // none: nothing; of a key, by ID
	err   error
}

// missing reports whether a remote may know more than the local store.
func (d *resolved) missing() bool { return d.found == nil && (d.err == nil || notFound(d.err)) }

func notFound(err error) bool {
	switch matcher.CodeOf(err) {
	case matcher.CodeFaceNotFound, matcher.CodeEventNotFound, matcher.CodeAttrNotFound:
		return true
	}
	return false
}

// resolve gives every reference its descriptor. A key becomes one reference
// for each object that it found, or one without a descriptor. The error is the
// first one in request order.
func (r *Router) resolve(ctx context.Context, req *Request) ([]matcher.Reference, error) {
	all, most := make([]resolved, 0, len(req.References)), req.ReferencesMax
	for i, n := 0, 0; i < len(req.References) && n <= most; i++ {
		d := r.here(ctx, req, i)
		all = append(all, d)
		if d.err != nil && !notFound(d.err) {
			break // whatever comes after it
		}
		n += len(d.found)
	}
	if r.options.Remotes != nil && !req.Forwarded {
		r.there(ctx, req, all)
	}
	refs := make([]matcher.Reference, 0, len(req.References))
	for i := range all {
		if err := all[i].err; err != nil {
			return nil, deadline(ctx, err)
		}
		if all[i].found == nil {
			all[i].found = []matcher.Reference{req.References[i]}
		}
		for _, f := range all[i].found {
			if v := f.Descriptor.Version; req.Version != 0 && v != 0 && v != req.Version {
				return nil, matcher.Errorf(matcher.CodeWrongVersion, "references[%d]: its descriptor has version %d, and descriptor_version is %d", i, v, req.Version)
			}
		}
		if refs = append(refs, all[i].found...); len(refs) > most {
			return nil, matcher.Errorf(matcher.CodeTooMany, "references: %d or more, the limit is %d", len(refs), most)
		}
	}
	return refs, nil
}

// here resolves a reference by itself and the local store.
func (r *Router) here(ctx context.Context, req *Request, i int) resolved {
	ref := req.References[i]
	switch origin, named := byID[ref.Type]; {
	case named:
		id, err := matcher.ParseID(ref.ID)
		if err != nil {
			return resolved{err: matcher.Errorf(matcher.CodeBadInput, "references[%d].id: %w", i, err)}
		}
		obj, ok := r.options.Objects.Get(origin, id, req.Account, true)
		if !ok {
			return resolved{err: matcher.Errorf(origin.NotFound(id).Code, "references[%d].id: %s %s does not exist", i, origin.Singular(), id)}
		}
		return object(req, i, &obj)
	case !ref.Descriptor.IsZero():
		return resolved{found: []matcher.Reference{ref}}
	}
	found, err := r.key(ctx, req, ref)
	return resolved{found, err}
}

// object makes a reference that names obj by its ID.
func object(req *Request, i int, obj *matcher.Object) resolved {
	ref := req.References[i]
	if ref.Descriptor = obj.Descriptor(req.Type); ref.Descriptor.IsZero() {
		return resolved{err: matcher.Errorf(matcher.CodeNoDescriptor, "references[%d].id: %s %s has no %s descriptor", i, byID[ref.Type].Singular(), obj.ID, req.Type)}
	}
	return resolved{found: []matcher.Reference{ref}}
}

// keys are the reference types that stand for any number of objects.
var keys = map[matcher.ReferenceType]struct {
	origin matcher.Origin
	filter func(key []string) matcher.Filter
}{
	matcher.RefFaceExternalID:  {matcher.Faces, byExternalID},
	matcher.RefEventExternalID: {matcher.Events, byExternalID},
	matcher.RefEventTrackID: {matcher.Events, func(key []string) matcher.Filter {
		return matcher.Filter{Event: matcher.EventFilter{TrackIDs: key}}
	}},
}

func byExternalID(key []string) matcher.Filter { return matcher.Filter{ExternalIDs: key} }

// key resolves a key that may stand for any number of objects. Those without
// the needed descriptor are skipped. One more than allowed is enough: it is
// refused.
func (r *Router) key(ctx context.Context, req *Request, ref matcher.Reference) ([]matcher.Reference, error) {
	var found []matcher.Reference
	k := keys[ref.Type]
	filter, size := k.filter([]string{ref.ID}), req.ReferencesMax+1
	for offset := 0; len(found) < size; offset += size {
		objects, _, err := r.options.Objects.Page(ctx, k.origin, &filter, req.Account, offset, size, true)
		if err != nil {
			return nil, deadline(ctx, err)
		}
		for i := range objects {
			if d := objects[i].Descriptor(req.Type); !d.IsZero() {
				found = append(found, matcher.Reference{Type: ref.Type, ID: ref.ID, ObjectID: objects[i].ID, Descriptor: d})
			}
		}
		if len(objects) < size {
			break
		}
	}
	return found, nil
}
