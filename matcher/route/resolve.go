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
	if found == nil {
		found = []matcher.Reference{ref}
	}
	return found, nil
}
