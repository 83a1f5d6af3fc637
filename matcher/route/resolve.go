package route

import (
	"context"

	"nearside/matcher"
)

// originOf maps the reference types that name one object by its ID to the origin
// of the object.
var originOf = map[matcher.ReferenceType]matcher.Origin{
	matcher.RefFace: matcher.Faces, matcher.RefEvent: matcher.Events, matcher.RefAttribute: matcher.Attributes,
}

// resolved is the result of resolving one reference of a request.
type resolved struct {
	found []matcher.Reference // with descriptors; of a key, sorted by ID; empty: no objects
	err   error
}

// missing reports whether nothing was found so far, so that remotes are asked.
func (d *resolved) missing() bool { return d.found == nil && (d.err == nil || notFound(d.err)) }

func notFound(err error) bool {
	switch matcher.CodeOf(err) {
	case matcher.CodeFaceNotFound, matcher.CodeEventNotFound, matcher.CodeAttrNotFound:
		return true
	}
	return false
}

// resolve returns the references of req with their descriptors. A key becomes one
// reference for each object that it stands for, or one reference without a
// descriptor if there are none. A reference of type together stays one reference, and its
// keys become parts of it. The error is the first one in request order. flat is req with
// the references of withParts.
func (r *Router) resolve(ctx context.Context, req, flat *Request, moment matcher.Moment) ([]matcher.Reference, error) {
	all, limit := make([]resolved, 0, len(flat.References)), req.ReferencesMax
	for i, n := 0, 0; i < len(flat.References) && n <= limit; i++ {
		d := resolveLocal(ctx, flat, i, moment)
		all = append(all, d)
		if d.err != nil && !notFound(d.err) {
			break // this error comes before those of later references
		}
		n += len(d.found)
	}
	if r.options.Remotes != nil && !req.Forwarded {
		r.resolveRemote(ctx, flat, all)
	}
	refs, count := make([]matcher.Reference, 0, len(req.References)), 0
	for i := range req.References {
		n := max(1, len(req.References[i].Parts))
		found, err := joinResolved(req, i, all[:min(n, len(all))])
		if err != nil {
			return nil, deadlineError(ctx, err)
		}
		all = all[min(n, len(all)):]
		if count += countOf(found); count > limit {
			return nil, matcher.Errorf(matcher.CodeTooMany, "references: must be at most %d after each key is replaced by its objects, got %d or more", limit, count)
		}
		refs = append(refs, found...)
	}
	return refs, nil
}

// resolveLocal resolves a reference with its own descriptor or the local objects.
func resolveLocal(ctx context.Context, req *Request, i int, moment matcher.Moment) resolved {
	ref := req.References[i]
	switch origin, named := originOf[ref.Type]; {
	case named:
		id, err := matcher.ParseID(ref.ID)
		if err != nil {
			return resolved{err: matcher.Errorf(matcher.CodeBadInput, "%s: %w", ref.Path(".id"), err)}
		}
		obj, ok := moment.Get(origin, id, req.Account, true)
		if !ok || !req.Lists.See(&obj) {
			return resolved{err: matcher.Errorf(origin.NotFound(id).Code, "%s: %s %s does not exist", ref.Path(".id"), origin.Singular(), id)}
		}
		return resolveObject(req, i, &obj)
	case !ref.Descriptor.IsZero():
		return resolved{found: []matcher.Reference{ref}}
	}
	found, err := resolveKey(ctx, req, ref, moment)
	return resolved{found, err}
}

// resolveObject resolves reference i of the request, which names obj by its ID.
func resolveObject(req *Request, i int, obj *matcher.Object) resolved {
	ref := req.References[i]
	if ref.Descriptor = obj.Descriptor(req.Type); ref.Descriptor.IsZero() {
		return resolved{err: matcher.Errorf(matcher.CodeNoDescriptor, "%s: %s %s has no %s descriptor", ref.Path(".id"), originOf[ref.Type].Singular(), obj.ID, req.Type)}
	}
	return resolved{found: []matcher.Reference{ref}}
}

// keyTypes are the reference types that stand for any number of objects.
var keyTypes = map[matcher.ReferenceType]struct {
	origin matcher.Origin
	field  string
}{
	matcher.RefFaceExternalID:  {matcher.Faces, "external_id"},
	matcher.RefEventExternalID: {matcher.Events, "external_id"},
	matcher.RefEventTrackID:    {matcher.Events, "track_id"},
}

// resolveKey returns the objects that a key stands for. It skips objects without a
// descriptor of the needed type. It stops at one more than the limit, because the
// request is then refused.
func resolveKey(ctx context.Context, req *Request, ref matcher.Reference, moment matcher.Moment) ([]matcher.Reference, error) {
	var found []matcher.Reference
	k := keyTypes[ref.Type]
	if req.Lists != nil && k.origin != matcher.Faces {
		return nil, nil // no such object exists for the caller
	}
	filter, size := matcher.Where(matcher.AnyOf(k.field, ref.ID)), req.ReferencesMax+1
	for offset := 0; len(found) < size; offset += size {
		objects, _, err := moment.Page(ctx, k.origin, &filter, req.Account, matcher.Page{Offset: offset, Size: size, Descriptors: true})
		if err != nil {
			return nil, deadlineError(ctx, err)
		}
		for i := range objects {
			if d := objects[i].Descriptor(req.Type); !d.IsZero() && req.Lists.See(&objects[i]) {
				object := ref // with the place of the key
				object.ObjectID, object.Descriptor = objects[i].ID, d
				found = append(found, object)
			}
		}
		if len(objects) < size {
			break
		}
	}
	return found, nil
}
