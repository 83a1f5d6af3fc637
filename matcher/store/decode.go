package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
)

// decodeObject decodes a record of appendObject. The descriptor data of the object
// alias rec, which must not be changed afterwards; strings are copies. The lists
// are sorted by ID and do not include deleted lists.
func decodeObject(rec []byte, origin matcher.Origin, id matcher.ID, table *listTable) (*matcher.Object, error) {
	o := &matcher.Object{Origin: origin, ID: id}
	d := decoder{rest: rec}
	d.version(recordVersions[origin])
	for {
		tag, more := d.tag()
		if !more {
			break
		}
		if f := fieldsByTag[origin][tag]; f != nil {
			f.decode(&d, o, table)
		} else {
			d.fail(unknownTag(tag))
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("%s %s: %w", origin.Singular(), id, d.err)
	}
	return o, nil
}

// unknownTag is the error of a field that this program does not know.
func unknownTag(tag byte) error {
	return fmt.Errorf("unknown tag %d: a newer version of nearside may have written the record", tag)
}

// decodeList decodes a record of appendList.
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
			d.fail(unknownTag(tag))
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

// decoder reads the fields of a record. After the first error it returns zeros.
type decoder struct {
	rest []byte
	last byte // the last tag
	err  error
}

// fail sets the error of d unless it has one.
func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// takeBytes returns the next n bytes.
func (d *decoder) takeBytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail(errTruncated)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) version(want byte) {
	if b := d.takeBytes(1); d.err == nil && b[0] != want {
		d.fail(fmt.Errorf("unknown record version %d, this program reads version %d", b[0], want))
	}
}

// tag returns the next tag. It returns false at the end or after an error.
func (d *decoder) tag() (byte, bool) {
	if len(d.rest) == 0 {
		return 0, false
	}
	t := d.rest[0]
	d.rest = d.rest[1:]
	if t <= d.last {
		d.fail(fmt.Errorf("tag %d follows tag %d, but tags must ascend", t, d.last))
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
	b := d.takeBytes(uint64(len(matcher.ID{})))
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
	b := d.takeBytes(1)
	if d.err != nil {
		return 0
	}
	return matcher.SmallOf(b[0])
}

func (d *decoder) bytes() []byte { return d.takeBytes(d.uvarint()) }

func (d *decoder) descriptor() matcher.Descriptor {
	v := d.uvarint()
	if d.err == nil && (v == 0 || v > math.MaxUint32) {
		d.fail(fmt.Errorf("descriptor version must be 1 to %d, got %d", uint32(math.MaxUint32), v))
	}
	return matcher.Descriptor{Version: uint32(v), Data: d.bytes()}
}

func (d *decoder) lists(table *listTable) []matcher.ID {
	n := d.uvarint()
	if n > uint64(len(d.rest)) { // each number has at least one byte
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
		if id, ok := table.idOf(last); ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	return ids
}

// texts returns nil if there are no texts, as in an object that does not have the field.
func (d *decoder) texts() []string {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	if n > uint64(len(d.rest)) { // each text has at least one byte
		d.fail(errTruncated)
		return nil
	}
	texts := make([]string, 0, n)
	for range n {
		texts = append(texts, string(d.bytes()))
	}
	return texts
}

func (d *decoder) float() float64 {
	b := d.takeBytes(8)
	if d.err != nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}
