package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"nearside/matcher"
)

// A record is a version byte, then fields in ascending order of their tags,
// each at most once and only when it is not zero. A tag fixes the form of what
// follows it, so an unknown one cannot be skipped: it is a fault, and a new
// field needs a new record version or a new directory format.
const recordVersion = 1

// recordVersions are those of objects: of events and attributes with the tags of event.go.
var recordVersions = [matcher.Origins]byte{matcher.Faces: recordVersion, matcher.Events: 2, matcher.Attributes: 2}

// Tags of objects. The forms: id 16 bytes; text uvarint length, bytes; time
// zigzag varint; small one byte; descriptor uvarint version, uvarint length,
// bytes; lists uvarint count, then ascending numbers as uvarint differences.
const (
	tagAccount     = 1  // id
	tagCreateTime  = 2  // time
	tagExternalID  = 3  // text
	tagUserData    = 4  // text
	tagAge         = 5  // small
	tagGender      = 6  // small
	tagEthnicGroup = 7  // small
	tagDescriptor0 = 8  // descriptor of type 0; type 1 follows
	tagEventID     = 16 // id
	tagAvatar      = 17 // text
	tagLists       = 18 // lists
)

// tagNumber is the one tag that only lists have, besides tagAccount,
// tagCreateTime and tagUserData: uvarint, the list's number.
const tagNumber = 32

// The first byte of a key; lists come before the objects that name them.
const (
	kindList = 'L'
	kindMeta = 'M'
)

// key is the kind and the ID of a record.
type key [1 + len(matcher.ID{})]byte

func makeKey(kind byte, id matcher.ID) (k key) {
	k[0] = kind
	copy(k[1:], id[:])
	return k
}

var (
	metaState    = makeKey(kindMeta, matcher.ID{'s', 't', 'a', 't', 'e'}) // state.append
	metaNextList = makeKey(kindMeta, matcher.ID{'l', 'i', 's', 't', 's'}) // uvarint, lists.next
	metaInstance = makeKey(kindMeta, matcher.ID{'i', 'd'})                // id, random
)

// originKinds are the first bytes of keys of objects.
var originKinds = [matcher.Origins]byte{matcher.Faces: 'f', matcher.Events: 'e', matcher.Attributes: 'a'}

func objectKey(o matcher.Origin, id matcher.ID) key { return makeKey(originKinds[o], id) }

// recordBytesMax is more than the record of o can have.
func recordBytesMax(o *matcher.Object) int {
	n := 128 + len(o.ExternalID) + len(o.UserData) + len(o.Avatar) + (len(o.Lists)+1)*binary.MaxVarintLen64
	for _, d := range o.Descriptors {
		n += len(d.Data)
	}
	return n + eventBytesMax(o.Event)
}

// appendObject appends the record of o. Lists that are not in the table are
// CodeListNotFound.
func appendObject(dst []byte, o *matcher.Object, table *lists) ([]byte, error) {
	dst = append(dst, recordVersions[o.Origin])
	dst = appendID(dst, tagAccount, o.Account)
	dst = appendTime(dst, tagCreateTime, o.CreateTime)
	dst = appendText(dst, tagExternalID, o.ExternalID)
	dst = appendText(dst, tagUserData, o.UserData)
	dst = appendSmall(dst, tagAge, o.Age)
	dst = appendSmall(dst, tagGender, o.Gender)
	dst = appendSmall(dst, tagEthnicGroup, o.EthnicGroup)
	for t, d := range o.Descriptors {
		if d.IsZero() {
			continue
		}
		dst = append(dst, tagDescriptor0+byte(t))
		dst = binary.AppendUvarint(dst, uint64(d.Version))
		dst = binary.AppendUvarint(dst, uint64(len(d.Data)))
		dst = append(dst, d.Data...)
	}
	dst = appendID(dst, tagEventID, o.EventID)
	dst = appendText(dst, tagAvatar, o.Avatar)
	if o.Origin != matcher.Faces {
		return appendOwn(dst, o), nil // nothing else is in lists
	}
	return appendLists(dst, o.Lists, table)
}

func appendLists(dst []byte, ids []matcher.ID, table *lists) ([]byte, error) {
	if len(ids) == 0 {
		return dst, nil
	}
	var few [8]uint64
	numbers := few[:0]
	for i, id := range ids {
		e := table.byID[id]
		if e.list == nil {
			return dst, matcher.Errorf(matcher.CodeListNotFound, "lists[%d]: %s does not exist", i, id)
		}
		numbers = append(numbers, e.number)
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

// parseKey takes the key of a record apart. A key of no known kind is a fault.
func parseKey(k []byte) (kind byte, id matcher.ID, err error) {
	if len(k) != len(key{}) {
		return 0, id, fmt.Errorf("key %x has %d bytes, not %d", k, len(k), len(key{}))
	}
	return k[0], matcher.ID(k[1:]), nil
}

// originOf returns the origin that kind stands for.
func originOf(kind byte) (matcher.Origin, bool) {
	i := slices.Index(originKinds[:], kind)
	return matcher.Origin(max(i, 0)), i >= 0
}

// errTruncated is a record that ends inside a field.
var errTruncated = errors.New("the record ends early")
