package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
)

// decodeObject reads a record of appendObject. Descriptor data are part of
// rec, which must not be changed afterwards; strings are copies. Lists come
// out in the order of IDs, without those that were deleted.
func decodeObject(rec []byte, origin matcher.Origin, id matcher.ID, table *lists) (*matcher.Object, error) {
	o := &matcher.Object{Origin: origin, ID: id}
	d := decoder{rest: rec}
	d.version(recordVersions[origin])
	for {
		tag, more := d.tag()
		if !more {
			break
		}
		switch tag {
		case tagAccount:
			o.Account = d.id()
		case tagCreateTime:
			o.CreateTime = d.time()
		case tagExternalID:
			o.ExternalID = string(d.bytes())
		case tagUserData:
			o.UserData = string(d.bytes())
		case tagAge:
			o.Age = d.small()
		case tagGender:
			o.Gender = d.small()
		case tagEthnicGroup:
			o.EthnicGroup = d.small()
		case tagDescriptor0, tagDescriptor0 + 1:
			o.Descriptors[tag-tagDescriptor0] = d.descriptor()
		case tagEventID:
			o.EventID = d.id()
		case tagAvatar:
			o.Avatar = string(d.bytes())
		case tagLists:
			o.Lists = d.lists(table)
		default:
			if origin != matcher.Faces {
				d.own(o, tag)
				continue
			}
			d.fail(fmt.Errorf("tag %d is unknown", tag))
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("%s %s: %w", origin.Singular(), id, d.err)
	}
	return o, nil
}

// decodeList reads a record of appendList.
func decodeList(rec []byte, id matcher.ID) (listEntry, error) {
	l := &matcher.List{ID: id}
	e := listEntry{list: l}
	d := decoder{rest: rec}
	d.version(recordVersion)
	for {
		tag, more := d.tag()
		if !more {
			break
		}
		switch tag {
		case tagAccount:
			l.Account = d.id()
		case tagCreateTime:
			l.CreateTime = d.time()
		case tagUserData:
			l.UserData = string(d.bytes())
		case tagNumber:
			e.number = d.uvarint()
		default:
			d.fail(fmt.Errorf("tag %d is unknown", tag))
		}
	}
	if d.err == nil && e.number == 0 {
		d.err = errors.New("the list has no number")
	}
	if d.err != nil {
		return listEntry{}, fmt.Errorf("list %s: %w", id, d.err)
	}
	return e, nil
}

// decoder reads fields off a record. After the first fault it gives zeros.
type decoder struct {
	rest []byte
	last byte // tag
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// take returns the next n bytes.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail(errTruncated)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) version(want byte) {
	if b := d.take(1); d.err == nil && b[0] != want {
		d.fail(fmt.Errorf("record version %d is unknown, this program reads %d", b[0], want))
	}
}

// tag returns the next tag, or false at the end or after a fault.
func (d *decoder) tag() (byte, bool) {
	if len(d.rest) == 0 {
		return 0, false
	}
	t := d.rest[0]
	d.rest = d.rest[1:]
	if t <= d.last {
		d.fail(fmt.Errorf("tag %d comes after %d", t, d.last))
		return 0, false
	}
	d.last = t
	return t, true
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) id() matcher.ID {
	b := d.take(uint64(len(matcher.ID{})))
	if d.err != nil {
		return matcher.ID{}
	}
	return matcher.ID(b)
}

func (d *decoder) time() matcher.Time {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.rest = d.rest[n:]
	return matcher.Time(v)
}

func (d *decoder) small() matcher.Small {
	b := d.take(1)
	if d.err != nil {
		return 0
	}
	return matcher.SmallOf(b[0])
}

func (d *decoder) bytes() []byte { return d.take(d.uvarint()) }

func (d *decoder) descriptor() matcher.Descriptor {
	v := d.uvarint()
	if d.err == nil && (v == 0 || v > math.MaxUint32) {
		d.fail(fmt.Errorf("descriptor version %d is not in 1..%d", v, uint32(math.MaxUint32)))
	}
	return matcher.Descriptor{Version: uint32(v), Data: d.bytes()}
}

func (d *decoder) lists(table *lists) []matcher.ID {
	n := d.uvarint()
	if n > uint64(len(d.rest)) { // each takes a byte or more
		d.fail(errTruncated)
		return nil
	}
	var ids []matcher.ID
	last := uint64(0)
	for range n {
		step := d.uvarint()
		if d.err == nil && (step == 0 || last+step < last) {
			d.fail(errors.New("list numbers do not ascend"))
		}
		if d.err != nil {
			return nil
		}
		last += step
		if id, ok := table.ids[last]; ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	return ids
}
