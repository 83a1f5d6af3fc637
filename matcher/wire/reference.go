package wire

import (
	"fmt"

	"nearside/matcher"
)

// RawRequest is the body of a raw match: descriptors of one version.
type RawRequest struct {
	References, Candidates []matcher.Reference
}

// Raw reads the body of a raw match. The error is CodeMixedVersions if the versions
// of the descriptors differ.
func (d *Decoder) Raw(f Format, body []byte) (*RawRequest, error) {
	req := &RawRequest{}
	b := binder{Decoder: d}
	err := d.decode(f, body, func(v value) error {
		err := v.strictFields(func(key string, v value) (err error) {
			switch key {
			case "references":
				req.References, err = b.references(v, "references", d.Limits.References)
				if err == nil {
					err = checkDescriptorsGiven(req.References)
				}
			case "candidates":
				req.Candidates, err = b.references(v, "raw_candidates", d.Limits.RawCandidates)
				if err == nil {
					err = checkDescriptorsGiven(req.Candidates)
				}
			default:
				err = errUnknownField
			}
			return err
		})
		err = orRequired(err,
			requirement{"references", req.References == nil}, requirement{"candidates", req.Candidates == nil})
		if err != nil {
			return err
		}
		return checkSameVersion(req)
	})
	if err != nil {
		return nil, err
	}
	return req, nil
}

// checkDescriptorsGiven refuses references to objects: a raw match needs descriptors
// in the request.
func checkDescriptorsGiven(refs []matcher.Reference) error {
	for i := range refs {
		if refs[i].Descriptor.IsZero() {
			return within(indexName(i), within("type",
				badInput("must be one of raw_descriptor, sdk_descriptor, got %q", refs[i].Type)))
		}
	}
	return nil
}

// checkSameVersion refuses descriptors of different versions.
func checkSameVersion(req *RawRequest) error {
	first := req.References[0].Descriptor.Version
	check := func(field string, refs []matcher.Reference) error {
		for i := range refs {
			if v := refs[i].Descriptor.Version; v != first {
				return &fault{
					code: matcher.CodeMixedVersions, path: field + indexName(i) + ".data.version",
					message: fmt.Sprintf("must be %d as in references[0], got %d", first, v),
				}
			}
		}
		return nil
	}
	if err := check("references", req.References); err != nil {
		return err
	}
	return check("candidates", req.Candidates)
}

// references reads a list of 1 to limit references; limit is the value of the
// setting limits.<setting>.
func (b *binder) references(v value, setting string, limit int) ([]matcher.Reference, error) {
	if err := checkCount(v, setting, limit); err != nil {
		return nil, err
	}
	refs := make([]matcher.Reference, v.len())
	err := v.array(func(i int, v value) error { return b.reference(v, &refs[i]) })
	return refs, err
}

// reference reads one reference. With a descriptor, or with references that are treated as
// one, the id is any text and may be absent. The id of an object is a UUID. A key must not
// be empty.
func (b *binder) reference(v value, ref *matcher.Reference) error {
	var id, data, object, parts, fuse value
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "type":
			ref.Type, err = referenceType(v)
		case "id":
			id = v
		case "data":
			data = v
		case "object":
			object = v
		case "references":
			parts = v
		case "fuse":
			fuse = v
		default:
			err = errUnknownField
		}
		return err
	})
	err = orRequired(err, requirement{"type", ref.Type == ""})
	if err != nil {
		return err
	}
	given := ref.Type == matcher.RefRaw || ref.Type == matcher.RefSDK
	if given && data.nodes == nil {
		return within("data", errRequired)
	}
	if !given && data.nodes != nil {
		return within("data", badInput("must not be given for a reference of type %s", ref.Type))
	}
	if err := b.together(ref, parts, fuse); err != nil {
		return err
	}
	if !given && ref.Type != matcher.RefTogether && id.nodes == nil {
		return within("id", errRequired)
	}
	if id.nodes != nil {
		if ref.ID, err = referenceID(ref.Type, id); err != nil {
			return within("id", err)
		}
	}
	if object.nodes != nil {
		if ref.Type != matcher.RefRaw {
			return within("object", badInput("must not be given for a reference of type %s", ref.Type))
		}
		if ref.Object, err = objectKey(object); err != nil {
			return within("object", err)
		}
	}
	if given {
		if ref.Descriptor, err = b.descriptor(data); err != nil {
			return within("data", err)
		}
	}
	return nil
}

func referenceType(v value) (matcher.ReferenceType, error) {
	s, err := v.text()
	if err != nil {
		return "", err
	}
	for _, t := range []matcher.ReferenceType{
		matcher.RefFace, matcher.RefEvent, matcher.RefAttribute, matcher.RefFaceExternalID,
		matcher.RefEventExternalID, matcher.RefEventTrackID, matcher.RefRaw, matcher.RefSDK, matcher.RefTogether,
	} {
		if s == string(t) {
			return t, nil
		}
	}
	if s == "xpk_file" {
		return "", badInput(`"xpk_file" is not supported: its format is not public`)
	}
	return "", v.mustBe("one of face, event, attribute, face_external_id, event_external_id, event_track_id, raw_descriptor, sdk_descriptor, together")
}

func referenceID(t matcher.ReferenceType, v value) (string, error) {
	switch t {
	case matcher.RefFace, matcher.RefEvent, matcher.RefAttribute:
		id, err := v.id()
		if err != nil {
			return "", err
		}
		return id.String(), nil // in lower case
	case matcher.RefRaw, matcher.RefSDK, matcher.RefTogether:
		return v.keptText()
	default:
		s, err := v.keptText()
		if err == nil && s == "" {
			err = badInput("must not be empty")
		}
		return s, err
	}
}

// descriptor reads {"version", "data"} or an SDK descriptor, and checks that it
// fits its version.
func (b *binder) descriptor(v value) (matcher.Descriptor, error) {
	var d matcher.Descriptor
	if v.kind() != kindObject {
		raw, err := v.bytes()
		if err != nil {
			return d, v.mustBe(`{"version", "data"} or the bytes of an SDK descriptor`)
		}
		if d, err = matcher.ParseSDK(raw); err != nil {
			return d, badInput("%v", err)
		}
		return d, b.checkDescriptor(d)
	}
	var numbers value // they are read when the version is known
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "version":
			var n int64
			n, err = v.integer(1, 1<<32-1)
			d.Version = uint32(n)
		case "data":
			if v.kind() == kindArray {
				numbers = v
				return nil
			}
			d.Data, err = v.bytes()
		default:
			err = errUnknownField
		}
		return err
	})
	err = orRequired(err, requirement{"version", d.Version == 0}, requirement{"data", d.Data == nil && numbers.nodes == nil})
	if err != nil {
		return d, err
	}
	if version := b.Registry.Version(d.Version); numbers.nodes != nil && version != nil {
		if d.Data, err = numbers.numbers(version); err != nil {
			return d, within("data", err)
		}
	}
	return d, b.checkDescriptor(d)
}

func (b *binder) checkDescriptor(d matcher.Descriptor) error {
	v := b.Registry.Version(d.Version)
	if v == nil {
		return &fault{code: matcher.CodeUnknownVersion, path: "version", message: fmt.Sprintf("%d is not registered", d.Version)}
	}
	if err := v.CheckData(d.Data); err != nil {
		return within("data", badInput("%v", err))
	}
	return nil
}
