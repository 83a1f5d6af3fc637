package wire

import (
	"errors"
	"maps"
	"math"
	"slices"

	"nearside/matcher"
)

// ObjectInput is an object of a request. Fields that the request left out are
// zero in Object; the server generates missing ids and times.
type ObjectInput struct {
	Object              matcher.Object // its Lists are as given
	HasID, HasLists     bool
	HasTime, HasAccount bool
	HasExpiry           bool // whether a line of an import has the time when the attribute expires

	// ListAccounts maps the ID of a list to its account, for lists that do not
	// belong to the account of the face; zero: no account. Only lines of an import
	// have it.
	ListAccounts map[matcher.ID]matcher.ID
}

// Fields that only lines of an import or export have.
const (
	listAccounts = "list_accounts" // of faces: ObjectInput.ListAccounts
	expireTime   = "expire_time"   // of attributes: Object.Expires
)

// eventsMax is the maximum number of events that one request can store.
const eventsMax = 1000

// Object reads the body of POST and PUT of an object of o. A descriptor is
// required. Null and empty text mean that a field is absent.
func (d *Decoder) Object(o matcher.Origin, f Format, body []byte) (*ObjectInput, error) {
	in := &ObjectInput{}
	b := binder{Decoder: d}
	if err := d.decode(f, body, func(v value) error { return b.object(o, v, in) }); err != nil {
		return nil, err
	}
	return in, nil
}

// LineDecoder reads the lines of an import. It is safe for concurrent use.
type LineDecoder struct {
	decoder Decoder
	origin  matcher.Origin
}

// Lines returns a decoder of the lines of an import of o. Only the length of a line
// limits the number of lists, because link requests or an earlier configuration may
// have put a face into more lists than one request can name.
func (d *Decoder) Lines(o matcher.Origin) *LineDecoder {
	l := &LineDecoder{decoder: *d, origin: o}
	l.decoder.Limits.FilterValues = math.MaxInt
	return l
}

// Decode reads one line, which is the JSON of Object. The line of a face may also have
// the accounts of its lists, and that of an attribute the time when it expires.
func (l *LineDecoder) Decode(line []byte) (*ObjectInput, error) {
	in := &ObjectInput{}
	if err := l.parse(line, in); err != nil {
		if f, ok := errors.AsType[*fault](err); ok {
			return nil, f.lineError()
		}
		return nil, err
	}
	missing := maps.Clone(in.ListAccounts)
	for _, id := range in.Object.Lists {
		delete(missing, id)
	}
	if len(missing) > 0 {
		first := slices.MinFunc(slices.Collect(maps.Keys(missing)), matcher.ID.Compare) // so that the error is always the same
		return nil, matcher.Errorf(matcher.CodeBadInput, "%s.%s: the list is not in lists", listAccounts, first)
	}
	return in, nil
}

func (l *LineDecoder) parse(line []byte, in *ObjectInput) error {
	b := binder{Decoder: &l.decoder, line: true}
	t := newTape()
	defer t.release()
	if t.fillPlain(line) {
		return b.object(l.origin, t.root(), in)
	}
	return l.decoder.parse(JSON, line, func(v value) error { return b.object(l.origin, v, in) })
}

// listAccounts reads the accounts of lists; null means that the list has no
// account. It finds repeated keys itself, because strictFields takes quadratic time for
// the thousands of keys that a line can have.
func (b *binder) listAccounts(v value) (map[matcher.ID]matcher.ID, error) {
	accounts := map[matcher.ID]matcher.ID{}
	err := v.lenientFields(func(key string, v value) error {
		id, err := matcher.ParseID(key)
		if err != nil {
			return badInput("the key must be the UUID of a list")
		}
		if _, twice := accounts[id]; twice {
			return badInput("is given twice")
		}
		var account matcher.ID
		if !v.isNull() {
			account, err = v.objectID()
		}
		accounts[id] = account
		return err
	})
	return accounts, err
}

// Events reads the body of POST of events: one event, or a list of 1 to 1000.
// list reports whether it is a list.
func (d *Decoder) Events(f Format, body []byte) (all []*ObjectInput, list bool, err error) {
	b := binder{Decoder: d}
	readEvent := func(v value) error {
		in := &ObjectInput{}
		all = append(all, in)
		return b.object(matcher.Events, v, in)
	}
	err = d.decode(f, body, func(v value) error {
		if list = v.kind() == kindArray; !list {
			return readEvent(v)
		}
		if n := v.len(); n == 0 || n > eventsMax {
			return badInput("must have 1 to %d events, got %d", eventsMax, n)
		}
		return v.array(func(_ int, v value) error { return readEvent(v) })
	})
	if err != nil {
		return nil, false, err
	}
	return all, list, nil
}

func (b *binder) object(o matcher.Origin, v value, in *ObjectInput) error {
	obj := &in.Object
	obj.Origin = o
	err := v.strictFields(func(key string, v value) (err error) {
		field := fieldByName[o][key]
		switch {
		case b.line && o == matcher.Faces && key == listAccounts:
			if !v.isNull() {
				in.ListAccounts, err = b.listAccounts(v)
			}
			return err
		case b.line && o == matcher.Attributes && key == expireTime:
			if !v.isNull() {
				in.HasExpiry = true
				if obj.Expires, err = v.time(); obj.Expires == 0 { // zero means never
					obj.Expires = -1
				}
			}
			return err
		case field == nil:
			return errUnknownField
		case v.isNull():
			return nil
		}
		switch key {
		case objectFields[o][0].name:
			in.HasID = true
		case "account_id":
			in.HasAccount = true
		case "create_time":
			in.HasTime = true
		case "lists":
			in.HasLists = true
		}
		return field.read(b, obj, v)
	})
	// One descriptor is enough. The error names the first one that objects of o can have.
	return orRequired(err, requirement{descriptorNames[o][matcher.FaceDescriptor], !hasDescriptor(obj)})
}

func hasDescriptor(obj *matcher.Object) bool {
	for _, d := range obj.Descriptors {
		if !d.IsZero() {
			return true
		}
	}
	return false
}
