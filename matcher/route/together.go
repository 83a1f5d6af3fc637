package route

import "nearside/matcher"

// withParts returns the references of a request, each with its place. References of type
// together are replaced by their parts.
func withParts(refs []matcher.Reference) []matcher.Reference {
	all := make([]matcher.Reference, 0, len(refs))
	for i, ref := range refs {
		ref.Place = i + 1
		if ref.Type != matcher.RefTogether {
			all = append(all, ref)
			continue
		}
		for n, part := range ref.Parts {
			part.Place, part.Part = i+1, n+1
			all = append(all, part)
		}
	}
	return all
}

// countOf returns the number of references as which resolved references count in limits.
func countOf(refs []matcher.Reference) int {
	n := 0
	for i := range refs {
		n += refs[i].Count()
	}
	return n
}

// joinResolved returns reference i of req as it is resolved: its parts, if it has any, as one
// reference. all has the result for the reference, or for each of its parts up to the first
// error.
func joinResolved(req *Request, i int, all []resolved) ([]matcher.Reference, error) {
	ref := req.References[i]
	ref.Place, ref.Parts = i+1, nil
	var found []matcher.Reference
	for n := range all {
		if all[n].err != nil {
			return nil, all[n].err
		}
		for _, f := range all[n].found {
			if err := checkVersion(req, &f, found); err != nil {
				return nil, err
			}
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 0:
		return []matcher.Reference{ref}, nil // without a descriptor
	case ref.Type != matcher.RefTogether:
		return found, nil
	case len(found) > matcher.PartsMax:
		return nil, matcher.Errorf(matcher.CodeTooMany, "%s: must be at most %d references after each key is replaced by its objects, got %d", ref.Path(""), matcher.PartsMax, len(found))
	}
	ref.Parts, ref.Descriptor.Version = found, found[0].Descriptor.Version
	return []matcher.Reference{ref}, nil
}

// checkVersion refuses a reference of another version than the request demands. It also
// refuses a part of another version than the parts before it.
func checkVersion(req *Request, f *matcher.Reference, before []matcher.Reference) error {
	switch v := f.Descriptor.Version; {
	case req.Version != 0 && v != req.Version:
		return matcher.Errorf(matcher.CodeWrongVersion, "%s: its descriptor has version %d, and descriptor_version is %d", placeOf(f), v, req.Version)
	case f.Part > 0 && len(before) > 0 && v != before[0].Descriptor.Version:
		return matcher.Errorf(matcher.CodeMixedVersions, "%s: its descriptor has version %d, and that of %s has version %d; references of type together must have one version",
			placeOf(f), v, placeOf(&before[0]), before[0].Descriptor.Version)
	}
	return nil
}

// placeOf returns the path of a reference in the client's request. It adds the object if the
// reference is one of those that a key has found.
func placeOf(f *matcher.Reference) string {
	whole := matcher.Reference{Place: f.Place, Part: f.Part, Type: matcher.RefRaw}
	path := whole.Path("")
	if o, ok := f.Type.Origin(); ok && !f.ObjectID.IsZero() {
		path += " (" + o.Singular() + " " + f.ObjectID.String() + ")"
	}
	return path
}
