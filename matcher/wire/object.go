package wire

import (
	"slices"

	"nearside/matcher"
)

// targetNames are the targets by origin: the top-level fields of the object
// but its descriptors, and the two figures of a row.
var targetNames = [matcher.Origins][]string{
	matcher.Faces: {
		"face_id", "account_id", "external_id", "user_data", "event_id", "create_time", "avatar",
		"lists", "age", "gender", "ethnic_group", similarity, distance,
	},
	matcher.Events: {
		"event_id", "account_id", "create_time", "end_time", "source", "handler_id", "stream_id", "track_id", "external_id",
		"user_data", "tags", "face_id", "age", "gender", "ethnic_group", "emotion", "mask", "location", "top_match", "meta",
		similarity, distance,
	},
	matcher.Attributes: {
		"attribute_id", "account_id", "create_time", "age", "gender", "ethnic_group", similarity, distance,
	},
}

const (
	similarity = "similarity"
	distance   = "distance"
)

// Targets returns the names that targets may have for o; the slice must not
// be changed.
func Targets(o matcher.Origin) []string { return targetNames[o] }

// targetNamed returns the target of that name as a constant, or "".
func targetNamed(o matcher.Origin, name string) string {
	if i := slices.Index(targetNames[o], name); i >= 0 {
		return targetNames[o][i]
	}
	return ""
}

// targetSet has a bit for each of targetNames that is wanted.
type targetSet uint64

// newTargetSet returns the set of targets of o; nil stands for all.
func newTargetSet(o matcher.Origin, targets []string) targetSet {
	if targets == nil {
		return ^targetSet(0)
	}
	var set targetSet
	for _, t := range targets {
		if i := slices.Index(targetNames[o], t); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

func (s targetSet) has(o matcher.Origin, target string) bool {
	return s&(1<<slices.Index(targetNames[o], target)) != 0
}

// AppendObject appends one object with the fields that targets name; nil
// stands for all. With descriptor and JSON it is a line of an import.
func AppendObject(dst []byte, f Format, obj *matcher.Object, targets []string, descriptor bool) []byte {
	w := NewWriter(dst, f)
	w.object(obj, newTargetSet(obj.Origin, targets), descriptor)
	return w.Done()
}

// AppendObjects appends a page of objects of o; count is how many there are
// on all pages.
func AppendObjects(dst []byte, f Format, o matcher.Origin, objs []*matcher.Object, targets []string, descriptor bool, count int) []byte {
	w := NewWriter(dst, f)
	set := newTargetSet(o, targets)
	w.Object()
	w.Key(o.String())
	w.Array(len(objs))
	for _, obj := range objs {
		w.object(obj, set, descriptor)
	}
	w.EndArray()
	w.Key("count")
	w.Int(int64(count))
	w.EndObject()
	return w.Done()
}

func (w *Writer) objectID(obj *matcher.Object) {
	w.Key(targetNames[obj.Origin][0])
	w.ID(obj.ID)
}

// object writes an object: its id, and the fields that are wanted and there.
func (w *Writer) object(obj *matcher.Object, targets targetSet, descriptor bool) {
	w.Object()
	w.objectID(obj)
	for i, name := range targetNames[obj.Origin] {
		if targets&(1<<i) != 0 {
			if obj.Origin == matcher.Events {
				w.eventField(obj, name)
			} else {
				w.faceField(obj, name)
			}
		}
	}
	if descriptor {
		w.descriptors(obj)
	}
	w.EndObject()
}

func (w *Writer) faceField(obj *matcher.Object, name string) {
	switch name {
	case "account_id":
		w.optionalID(name, obj.Account)
	case "external_id":
		w.optionalText(name, obj.ExternalID)
	case "user_data":
		w.optionalText(name, obj.UserData)
	case "event_id":
		w.optionalID(name, obj.EventID)
	case "create_time":
		w.Key(name)
		w.Time(obj.CreateTime)
	case "avatar":
		w.optionalText(name, obj.Avatar)
	case "lists":
		w.Key(name)
		w.Array(len(obj.Lists))
		for _, id := range obj.Lists {
			w.ID(id)
		}
		w.EndArray()
	case "age":
		w.optionalSmall(name, obj.Age)
	case "gender":
		w.optionalSmall(name, obj.Gender)
	case "ethnic_group":
		w.optionalSmall(name, obj.EthnicGroup)
	}
}

func (w *Writer) optionalID(key string, id matcher.ID) {
	if !id.IsZero() {
		w.Key(key)
		w.ID(id)
	}
}

func (w *Writer) optionalText(key, s string) {
	if s != "" {
		w.Key(key)
		w.String(s)
	}
}

func (w *Writer) optionalSmall(key string, s matcher.Small) {
	if n, ok := s.Get(); ok {
		w.Key(key)
		w.Int(int64(n))
	}
}

// ListAnswer is a list as clients see it.
type ListAnswer struct {
	matcher.List
	FaceCount int
}

// AppendList appends one list.
func AppendList(dst []byte, f Format, l ListAnswer) []byte {
	w := NewWriter(dst, f)
	w.list(&l)
	return w.Done()
}

// AppendLists appends a page of lists; count is how many there are on all
// pages.
func AppendLists(dst []byte, f Format, lists []ListAnswer, count int) []byte {
	w := NewWriter(dst, f)
	w.Object()
	w.Key("lists")
	w.Array(len(lists))
	for i := range lists {
		w.list(&lists[i])
	}
	w.EndArray()
	w.Key("count")
	w.Int(int64(count))
	w.EndObject()
	return w.Done()
}

func (w *Writer) list(l *ListAnswer) {
	w.Object()
	w.Key("list_id")
	w.ID(l.ID)
	w.optionalID("account_id", l.Account)
	w.optionalText("user_data", l.UserData)
	w.Key("create_time")
	w.Time(l.CreateTime)
	w.Key("face_count")
	w.Int(int64(l.FaceCount))
	w.EndObject()
}
