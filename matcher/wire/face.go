package wire

import (
	"slices"
	"strings"

	"nearside/matcher"
)

// isFaceField reports whether a face has that field in a body.
func isFaceField(key string) bool {
	switch key {
	case "face_id", "account_id", "external_id", "user_data", "event_id", "create_time", "avatar",
		"lists", "age", "gender", "ethnic_group", "descriptor":
		return true
	}
	return false
}

// faceField sets one field of obj, which isFaceField knows.
func (b *binder) faceField(obj *matcher.Object, key string, v value) (err error) {
	switch key {
	case "face_id":
		obj.ID, err = v.objectID()
	case "account_id":
		obj.Account, err = v.objectID()
	case "event_id":
		obj.EventID, err = v.objectID()
	case "external_id":
		obj.ExternalID, err = v.keptText()
	case "user_data":
		obj.UserData, err = v.keptText()
	case "avatar":
		obj.Avatar, err = v.keptText()
	case "create_time":
		obj.CreateTime, err = v.time()
	case "lists":
		obj.Lists, err = b.ids(v)
	case "age":
		obj.Age, err = v.optionalSmall()
	case "gender":
		obj.Gender, err = v.optionalSmall()
	case "ethnic_group":
		obj.EthnicGroup, err = v.optionalSmall()
	case "descriptor":
		err = b.descriptorOf(obj, matcher.FaceDescriptor, v)
	}
	return err
}

// descriptorOf reads the descriptor of type t of obj.
func (b *binder) descriptorOf(obj *matcher.Object, t matcher.DescriptorType, v value) error {
	d, err := b.descriptor(v)
	if err != nil {
		return err
	}
	if other := b.Registry.Version(d.Version).Type; other != t {
		if obj.Origin == matcher.Faces {
			return within("version", badInput("%d is of type body; a face has a face descriptor", d.Version))
		}
		return within("version", badInput("%d is of type %s; this is the place of a %s descriptor", d.Version, other, t))
	}
	obj.Descriptors[t] = d
	return nil
}

// ids reads ids of objects; they are returned in their order, each once.
func (b *binder) ids(v value) ([]matcher.ID, error) {
	if v.kind() != kindArray {
		return nil, v.no("a list")
	}
	if most := b.Limits.FilterValues; v.len() > most {
		return nil, tooMany(v.len(), "filter_values", most)
	}
	ids := make([]matcher.ID, v.len())
	err := v.array(func(i int, v value) (err error) {
		ids[i], err = v.objectID()
		return err
	})
	slices.SortFunc(ids, matcher.ID.Compare)
	return slices.Compact(ids), err
}

func (v value) optionalSmall() (matcher.Small, error) {
	n, err := v.small()
	return matcher.SmallOf(n), err
}

// FacePatch reads the body of PATCH and returns what it does to a face: the
// fields given are set, null clears. A descriptor and a create_time can be
// replaced, not cleared. The face keeps its face_id and account_id: other
// values of them are refused by the function returned, which changes the face
// only when it returns nil.
func (d *Decoder) FacePatch(f Format, body []byte) (func(*matcher.Object) error, error) {
	var given matcher.Object
	var keys []string
	b := binder{Decoder: d}
	err := d.decode(f, body, func(v value) error {
		return v.object(func(key string, v value) error {
			if !isFaceField(key) {
				return errUnknownField
			}
			keys = append(keys, strings.Clone(key))
			if !v.isNull() {
				return b.faceField(&given, key, v)
			}
			switch key {
			case "face_id", "account_id", "create_time", "descriptor":
				return badInput("cannot be cleared")
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return func(obj *matcher.Object) error {
		if slices.Contains(keys, "face_id") && given.ID != obj.ID {
			return matcher.Errorf(matcher.CodeBadInput, "face_id: %s cannot be changed to %s", obj.ID, given.ID)
		}
		if slices.Contains(keys, "account_id") && given.Account != obj.Account {
			return matcher.Errorf(matcher.CodeAccountConflict, "account_id: %s is another account than the face has", given.Account)
		}
		for _, key := range keys {
			copyFaceField(obj, &given, key)
		}
		return nil
	}, nil
}

func copyFaceField(to, from *matcher.Object, key string) {
	switch key {
	case "event_id":
		to.EventID = from.EventID
	case "external_id":
		to.ExternalID = from.ExternalID
	case "user_data":
		to.UserData = from.UserData
	case "avatar":
		to.Avatar = from.Avatar
	case "create_time":
		to.CreateTime = from.CreateTime
	case "lists":
		to.Lists = from.Lists
	case "age":
		to.Age = from.Age
	case "gender":
		to.Gender = from.Gender
	case "ethnic_group":
		to.EthnicGroup = from.EthnicGroup
	case "descriptor":
		to.Descriptors[matcher.FaceDescriptor] = from.Descriptors[matcher.FaceDescriptor]
	}
}
