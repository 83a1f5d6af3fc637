package matcher

// ObjectKey names a stored object.
type ObjectKey struct {
	Origin Origin
	ID     ID
}

// Origin returns the origin of the objects that references of the type name by an ID or
// a key. ok is false for references with a descriptor.
func (t ReferenceType) Origin() (o Origin, ok bool) {
	switch t {
	case RefFace, RefFaceExternalID:
		return Faces, true
	case RefEvent, RefEventExternalID, RefEventTrackID:
		return Events, true
	case RefAttribute:
		return Attributes, true
	}
	return 0, false
}

// Self returns the object whose descriptor the reference has. ok is false if that is not
// known.
func (r *Reference) Self() (self ObjectKey, ok bool) {
	origin, named := r.Type.Origin()
	switch {
	case !named && r.Object != nil:
		return *r.Object, true
	case !named:
		return self, false
	case !r.ObjectID.IsZero():
		return ObjectKey{origin, r.ObjectID}, true
	}
	id, err := ParseID(r.ID)
	return ObjectKey{origin, id}, err == nil
}

// SelfIDs returns the IDs of the objects of o that the reference, or a part of it, stands
// for. There may be duplicates.
func (r *Reference) SelfIDs(o Origin) (ids []ID) {
	if self, ok := r.Self(); ok && self.Origin == o {
		ids = append(ids, self.ID)
	}
	for i := range r.Parts {
		ids = append(ids, r.Parts[i].SelfIDs(o)...)
	}
	return ids
}

// Excluded returns the IDs of the objects that ExcludeSelf leaves out of the answer.
func (sub *SubRequest) Excluded() []ID {
	if !sub.Candidates.ExcludeSelf {
		return nil
	}
	return sub.Reference.SelfIDs(sub.Candidates.Origin)
}
