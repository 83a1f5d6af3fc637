package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
)

// A record is a version byte and then fields in ascending order of their tags. A
// field occurs at most once, and only if it is not zero. The tag determines the
// encoding of the field, so a reader cannot skip an unknown tag: it is an error. A
// new field has a new tag, and an older program refuses records with that tag. A new
// encoding of a field needs a new record version or a new directory format.

// recordVersion is the version of the records of lists and faces.
const recordVersion = 1

// recordVersions are the record versions of objects. Version 2 has tags from 64 up.
var recordVersions = [matcher.Origins]byte{matcher.Faces: recordVersion, matcher.Events: 2, matcher.Attributes: 2}

// Tags of the fields that are not plain; [matcher.Field] has those of the others. The
// encodings of all fields are:
//
//	id          16 bytes
//	text        uvarint length, bytes
//	texts       uvarint count, then texts
//	time        zigzag varint
//	small       one byte
//	float       8 bytes
//	position    two floats
//	descriptor  uvarint version, uvarint length, bytes
//	lists       uvarint count, then ascending list numbers as uvarint differences
const (
	tagAccount       = 1  // id
	tagCreateTime    = 2  // time
	tagUserData      = 4  // text, of lists; objects have it as a plain field
	tagDescriptor0   = 8  // descriptor of type 0; type 1 follows
	tagLists         = 18 // lists, of faces
	tagEndTime       = 64 // time, stored even if it is zero; this and the next ones are of events
	tagTags          = 69 // texts
	tagPosition      = 78 // position: longitude, latitude
	tagTopSimilarity = 81 // float
	tagMeta          = 82 // text
	tagExpires       = 83 // time, of attributes
)

// tagNumber is the tag of a list's number, a uvarint. Lists also have tagAccount,
// tagCreateTime and tagUserData.
const tagNumber = 32

// The first byte of a key. Lists sort before the objects that refer to them.
const (
	kindList = 'L'
	kindMeta = 'M'
)

// key is the key of a record: its kind and its ID.
type key [1 + len(matcher.ID{})]byte

func makeKey(kind byte, id matcher.ID) (k key) {
	k[0] = kind
	copy(k[1:], id[:])
	return k
}

var (
	metaState    = makeKey(kindMeta, matcher.ID{'s', 't', 'a', 't', 'e'}) // state.append
	metaNextList = makeKey(kindMeta, matcher.ID{'l', 'i', 's', 't', 's'}) // uvarint, listTable.next
	metaInstance = makeKey(kindMeta, matcher.ID{'i', 'd'})                // id, the random ID of the directory
)

// originKinds are the first bytes of the keys of objects, by origin.
var originKinds = [matcher.Origins]byte{matcher.Faces: 'f', matcher.Events: 'e', matcher.Attributes: 'a'}

func objectKey(o matcher.Origin, id matcher.ID) key { return makeKey(originKinds[o], id) }

// recordBytesMax returns an upper bound of the size of o's record.
func recordBytesMax(o *matcher.Object) int {
	const fieldMax = 1 + len(matcher.ID{}) + binary.MaxVarintLen64 // a tag, a length, and a value that is not a text
	n := 1 + fieldMax*len(recordFields[o.Origin]) + (len(o.Lists)+1)*binary.MaxVarintLen64
	for _, f := range matcher.Fields(o.Origin) {
		if f.Kind == matcher.TextField {
			n += len(f.Text(o))
		}
	}
	for _, d := range o.Descriptors {
		n += binary.MaxVarintLen64 + len(d.Data)
	}
	if e := o.Event; e != nil {
		n += len(e.Meta)
		for _, s := range e.Tags {
			n += binary.MaxVarintLen64 + len(s)
		}
	}
	return n
}

// appendObject appends the record of o. The error is CodeListNotFound if a list of o is
// not in the table.
func appendObject(dst []byte, o *matcher.Object, table *listTable) (_ []byte, err error) {
	dst = append(dst, recordVersions[o.Origin])
	for i := range recordFields[o.Origin] {
		if dst, err = recordFields[o.Origin][i].append(dst, o, table); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendLists(dst []byte, ids []matcher.ID, table *listTable) ([]byte, error) {
	if len(ids) == 0 {
		return dst, nil
	}
	var few [8]uint64
	numbers := few[:0]
	for i, id := range ids {
		number := table.numberOf(id)
		if number == 0 {
			return dst, matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", i, id)
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	dst = append(dst, tagLists)
	dst = binary.AppendUvarint(dst, uint64(len(numbers)))
	last := uint64(0)
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n-last)
		last = n
	}
	return dst, nil
}

// appendList appends the record of a list.
func appendList(dst []byte, e listEntry) []byte {
	dst = append(dst, recordVersion)
	dst = appendID(dst, tagAccount, e.list.Account)
	dst = appendTime(dst, tagCreateTime, e.list.CreateTime)
	dst = appendText(dst, tagUserData, e.list.UserData)
	dst = append(dst, tagNumber)
	return binary.AppendUvarint(dst, e.number)
}

func appendID(dst []byte, tag byte, id matcher.ID) []byte {
	if id.IsZero() {
		return dst
	}
	return append(append(dst, tag), id[:]...)
}

func appendTime(dst []byte, tag byte, t matcher.Time) []byte {
	if t == 0 {
		return dst
	}
	return binary.AppendVarint(append(dst, tag), int64(t))
}

func appendText(dst []byte, tag byte, s string) []byte {
	if s == "" {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(s)))
	return append(dst, s...)
}

func appendSmall(dst []byte, tag byte, s matcher.Small) []byte {
	v, ok := s.Get()
	if !ok {
		return dst
	}
	return append(dst, tag, v)
}

func appendTexts(dst []byte, tag byte, texts []string) []byte {
	if len(texts) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(texts)))
	for _, s := range texts {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func appendFloats(dst []byte, values ...float64) []byte {
	for _, f := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return dst
}

func appendDescriptor(dst []byte, tag byte, d matcher.Descriptor) []byte {
	if d.IsZero() {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, tag), uint64(d.Version))
	dst = binary.AppendUvarint(dst, uint64(len(d.Data)))
	return append(dst, d.Data...)
}

// parseKey splits a key into its kind and ID. It does not check the kind.
func parseKey(k []byte) (kind byte, id matcher.ID, err error) {
	if len(k) != len(key{}) {
		return 0, id, fmt.Errorf("key %x must have %d bytes, got %d", k, len(key{}), len(k))
	}
	return k[0], matcher.ID(k[1:]), nil
}

// originOf returns the origin of objects with the given kind of key. It returns
// false if the kind is not one of objects.
func originOf(kind byte) (matcher.Origin, bool) {
	i := slices.Index(originKinds[:], kind)
	return matcher.Origin(max(i, 0)), i >= 0
}

// errTruncated means that a record ends inside a field.
var errTruncated = errors.New("the record is truncated")
