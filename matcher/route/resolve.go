package route

import (
	"context"

	"nearside/matcher"
)

// byID maps the reference types that name one object by its ID.
var byID = map[matcher.ReferenceType]matcher.Origin{
	matcher.RefFace: matcher.Faces, matcher.RefEvent: matcher.Events, matcher.RefAttribute: matcher.Attributes,
}

// resolve gives every reference its descriptor. A key becomes one reference
// for each object that it found, or one without a descriptor.
func (r *Router) resolve(ctx context.Context, req *Request) ([]matcher.Reference, error) {
	refs := make([]matcher.Reference, 0, len(req.References))
	for i := range req.References {
		ref := req.References[i]
		var found []matcher.Reference
		var err error
		if _, named := byID[ref.Type]; named {
			found, err = r.object(req, i, ref)
		} else if !ref.Descriptor.IsZero() {
			found = []matcher.Reference{ref}
		} else {
			found, err = r.key(ctx, req, ref)
		}
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if v := f.Descriptor.Version; req.Version != 0 && v != 0 && v != req.Version {
				return nil, matcher.Errorf(matcher.CodeWrongVersion, "references[%d]: its descriptor has version %d, and descriptor_version is %d", i, v, req.Version)
			}
		}
		refs = append(refs, found...)
		if most := req.ReferencesMax; len(refs) > most {
			return nil, matcher.Errorf(matcher.CodeTooMany, "references: %d or more, the limit is %d", len(refs), most)
		}
	}
	return refs, nil
}

// object resolves the ID of an object.
func (r *Router) object(req *Request, i int, ref matcher.Reference) ([]matcher.Reference, error) {
	origin := byID[ref.Type]
	id, err := matcher.ParseID(ref.ID)
	if err != nil {
		return nil, matcher.Errorf(matcher.CodeBadInput, "references[%d].id: %w", i, err)
	}
	obj, ok := r.options.Objects.Get(origin, id, req.Account, true)
	if !ok {
		return nil, matcher.Errorf(origin.NotFound(id).Code, "references[%d].id: %s %s does not exist", i, origin.Singular(), id)
	}
	ref.Descriptor = obj.Descriptor(req.Type)
	if ref.Descriptor.IsZero() {
		return nil, matcher.Errorf(matcher.CodeNoDescriptor, "references[%d].id: %s %s has no %s descriptor", i, origin.Singular(), id, req.Type)
	}
	return []matcher.Reference{ref}, nil
}

// key resolves a key that may stand for any number of objects. Those without
// the needed descriptor are skipped.
func (r *Router) key(ctx context.Context, req *Request, ref matcher.Reference) ([]matcher.Reference, error) {
	var objects []matcher.Object
	if ref.Type == matcher.RefFaceExternalID { // the keys of events find nothing while none are stored
		var err error // one more than allowed is enough to refuse: every face has a descriptor that counts
		objects, _, err = r.options.Objects.Page(ctx, matcher.Faces, &matcher.Filter{ExternalIDs: []string{ref.ID}}, req.Account, 0, req.ReferencesMax+1, true)
		if err != nil {
			return nil, deadline(ctx, err)
		}
	}
	var found []matcher.Reference
	for i := range objects {
		if d := objects[i].Descriptor(req.Type); !d.IsZero() {
			found = append(found, matcher.Reference{Type: ref.Type, ID: ref.ID, ObjectID: objects[i].ID, Descriptor: d})
		}
	}
	if found == nil {
		found = []matcher.Reference{ref}
	}
	return found, nil
}
