package wire

import (
	"encoding/base64"
	"slices"

	"nearside/matcher"
)

// targetNames are the targets by origin: the fields of objects, without descriptors,
// and the two figures of a row.
var targetNames = func() (by [matcher.Origins][]string) {
	for o := range by {
		for _, f := range objectFields[o] {
			by[o] = append(by[o], f.name)
		}
		by[o] = append(by[o], similarity, distance)
	}
	return by
}()

const (
	similarity = "similarity"
	distance   = "distance"
)

// Targets returns the names that targets may have for o. The slice must not be
// changed.
func Targets(o matcher.Origin) []string { return targetNames[o] }

// Target returns the target with that name, or "". The result is a constant,
// so that it does not keep the body of the request in memory.
func Target(o matcher.Origin, name string) string {
	if i := slices.Index(targetNames[o], name); i >= 0 {
		return targetNames[o][i]
	}
	return ""
}

// targetSet has a bit for each name in targetNames; 1: the field is written.
type targetSet uint64

// newTargetSet returns the set of targets of o. If targets is nil, it has all.
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

// AppendObject appends one object with the fields that targets name; nil: all.
func AppendObject(dst []byte, f Format, obj *matcher.Object, targets []string, descriptors DescriptorForm) []byte {
	w := NewWriter(dst, f)
	w.storedObject(obj, newTargetSet(obj.Origin, targets), descriptors)
	return w.Done()
}

// AppendLine appends an object as a line of an export, without the line feed.
// lists maps the IDs of lists to their accounts; zero: no account. A list that is
// not in lists belongs to the account of the face. The line of an attribute has the time
// when it expires.
func AppendLine(dst []byte, obj *matcher.Object, lists map[matcher.ID]matcher.ID, descriptors DescriptorForm) []byte {
	w := NewWriter(dst, JSON)
	w.Object()
	w.fields(obj, newTargetSet(obj.Origin, nil), descriptors)
	w.listAccounts(obj, lists)
	if obj.Expires != 0 {
		w.Key(expireTime)
		w.Time(obj.Expires)
	}
	w.EndObject()
	return w.Done()
}

// listAccounts writes the accounts of those lists of a face that belong to
// another account than the face. It writes nothing if there are no such lists.
func (w *Writer) listAccounts(obj *matcher.Object, lists map[matcher.ID]matcher.ID) {
	begun := false
	for _, id := range obj.Lists {
		account, known := lists[id]
		if !known || account == obj.Account {
			continue
		}
		if !begun {
			begun = true
			w.Key(listAccounts)
			w.Object()
		}
		w.Key(id.String())
		if account.IsZero() {
			w.Null()
		} else {
			w.ID(account)
		}
	}
	if begun {
		w.EndObject()
	}
}

// LineBytes returns the maximum length of an object's line in an export with binary
// descriptors. It assumes that each list needs an account in the line, because the accounts of
// lists can change.
func LineBytes(obj *matcher.Object) int {
	n := len(AppendLine(nil, obj, nil, BinaryDescriptors))
	if len(obj.Lists) > 0 {
		n += len(`,"list_accounts":{}`) + listAccountBytes*len(obj.Lists)
	}
	return n
}

// listAccountBytes is the length of an entry of list_accounts, with its comma.
const listAccountBytes = len(`"00000000-0000-0000-0000-000000000000":"00000000-0000-0000-0000-000000000000",`)

// LineBound returns an upper bound of LineBytes that is fast to compute. It
// assumes that every character is escaped with 6 bytes.
func LineBound(obj *matcher.Object) int {
	const fields, escape, id = 2 << 10, 6, len(`"00000000-0000-0000-0000-000000000000",`)
	texts, meta := 0, 0
	for _, f := range matcher.Fields(obj.Origin) {
		if f.Kind == matcher.TextField {
			texts += len(f.Text(obj))
		}
	}
	if e := obj.Event; e != nil {
		for _, tag := range e.Tags {
			texts += len(tag) + 1
		}
		meta = len(e.Meta)
	}
	data := 0
	for _, d := range obj.Descriptors {
		data += base64.StdEncoding.EncodedLen(len(d.Data))
	}
	return fields + escape*texts + meta + data + (id+listAccountBytes)*len(obj.Lists)
}

// CheckLine refuses an object whose line in an export would have more than
// bytesMax bytes, the limit of an import's line. A line can be longer than the body
// of the request that created the object, because MessagePack has binary data and
// needs no escapes.
func CheckLine(obj *matcher.Object, bytesMax int64) error {
	if int64(LineBound(obj)) <= bytesMax {
		return nil
	}
	if n := LineBytes(obj); int64(n) > bytesMax {
		return matcher.Errorf(matcher.CodeTooLarge, "object: must have at most %d bytes as a line of an export, got %d", bytesMax, n)
	}
	return nil
}

// NoCount means that a page has no count.
const NoCount = -1

// AppendObjects appends a page of objects of o; count is the number of objects on
// all pages, or NoCount.
func AppendObjects(dst []byte, f Format, o matcher.Origin, objs []*matcher.Object, targets []string, descriptors DescriptorForm, count int) []byte {
	w := NewWriter(dst, f)
	set := newTargetSet(o, targets)
	w.Object()
	w.Key(o.String())
	w.Array(len(objs))
	for _, obj := range objs {
		w.storedObject(obj, set, descriptors)
	}
	w.EndArray()
	w.count(count)
	w.EndObject()
	return w.Done()
}

func (w *Writer) count(n int) {
	if n != NoCount {
		w.Key("count")
		w.Int(int64(n))
	}
}

// storedObject writes a face, an event or an attribute: its ID, and those of its
// fields that targets contains.
func (w *Writer) storedObject(obj *matcher.Object, targets targetSet, descriptors DescriptorForm) {
	w.Object()
	w.fields(obj, targets, descriptors)
	w.EndObject()
}

func (w *Writer) fields(obj *matcher.Object, targets targetSet, descriptors DescriptorForm) {
	targets |= 1 // the ID
	for i := range objectFields[obj.Origin] {
		if targets&(1<<i) != 0 {
			objectFields[obj.Origin][i].write(w, obj)
		}
	}
	if descriptors.written {
		w.descriptors(obj, descriptors)
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

func (w *Writer) optionalSmalls(key string, s matcher.Smalls) {
	if s == "" {
		return
	}
	w.Key(key)
	values, isList := s.Values()
	if !isList {
		w.Int(int64(values[0]))
		return
	}
	w.Array(len(values))
	for _, n := range values {
		w.Int(int64(n))
	}
	w.EndArray()
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

// AppendLists appends a page of lists; count is the number of lists on all pages,
// or NoCount.
func AppendLists(dst []byte, f Format, lists []ListAnswer, count int) []byte {
	w := NewWriter(dst, f)
	w.Object()
	w.Key("lists")
	w.Array(len(lists))
	for i := range lists {
		w.list(&lists[i])
	}
	w.EndArray()
	w.count(count)
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
