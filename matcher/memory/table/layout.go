package table

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"nearside/matcher"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Shape describes how an origin stores its plain fields.
type Shape struct {
	Smalls []*matcher.Field // each has a column
	Texts  []*matcher.Field // texts, UUIDs and lists of small numbers in record order; those with a column of hashes come first
	Hashes int              // number of texts that have a column of hashes
}

// Shapes has the shape of each origin. Fields that a filter compares have a column of
// hashes.
var Shapes = func() (by [matcher.Origins]Shape) {
	for o := range by {
		var others []*matcher.Field
		for _, f := range matcher.Fields(matcher.Origin(o)) {
			switch {
			case f.Kind == matcher.SmallField:
				by[o].Smalls = append(by[o].Smalls, f)
			case f.Any != "" || f.Is != "":
				by[o].Texts = append(by[o].Texts, f)
			default:
				others = append(others, f)
			}
		}
		by[o].Hashes = len(by[o].Texts)
		by[o].Texts = append(by[o].Texts, others...)
	}
	return by
}()

// Layout describes the columns of an origin.
type Layout struct {
	Shape
	Origin matcher.Origin
	Meta   []matcher.MetaField // events only

	columnBytes int // bytes per row, without descriptors
	columnCount int
}

// textsBuffer is the size of a buffer for the texts of a record. If there are more texts,
// append moves them to the heap.
const textsBuffer = 32

func newLayout(o matcher.Origin, meta []matcher.MetaField) *Layout {
	l := &Layout{Shape: Shapes[o], Origin: o}
	const common = 16 + 8 + 4 + 4 + (4+8)*int(matcher.DescriptorTypes) // ID, time, account, position of the record; constants and norms of descriptors
	l.columnBytes, l.columnCount = common, 4+2*int(matcher.DescriptorTypes)
	switch o {
	case matcher.Events:
		l.Meta = meta
		l.columnBytes += eventBytes
		l.columnCount += eventCount + len(meta)
		for _, f := range meta {
			l.columnBytes += metaBytes[f.Type]
		}
	case matcher.Attributes:
		l.columnBytes += 8
		l.columnCount++
	}
	l.columnBytes += 4*l.Hashes + 2*len(l.Smalls)
	l.columnCount += l.Hashes + len(l.Smalls)
	return l
}

// textCount returns the number of texts in a record. The last text of an event's record
// is its meta.
func (l *Layout) textCount() int {
	if l.Origin == matcher.Events {
		return len(l.Texts) + 1
	}
	return len(l.Texts)
}

// rowOverhead returns the bytes that a row needs besides its descriptors and its record:
// its columns, its entry in the ID map, and its bits in lists.
func (l *Layout) rowOverhead() int { return l.columnBytes + 24 }

// Sum returns a checksum of the column definitions. They depend on the configuration and
// on the fields that this program version knows.
func (l *Layout) Sum() uint32 {
	sum := crc32.Checksum([]byte(l.Origin.String()), castagnoli)
	for _, f := range slices.Concat(l.Smalls, l.Texts) {
		sum = crc32.Update(sum, castagnoli, []byte(f.Path()+"\n"))
	}
	for _, f := range l.Meta {
		sum = crc32.Update(sum, castagnoli, []byte(f.Path+" "+f.Type.String()+"\n"))
	}
	return sum
}

// appendTexts appends the texts of the record of o. A UUID is a text of 16 bytes.
func (s *Shape) appendTexts(dst []string, o *matcher.Object) []string {
	for _, f := range s.Texts {
		if f.Kind == matcher.UUIDField {
			dst = append(dst, IDText(f.UUID(o)))
		} else {
			dst = append(dst, f.Text(o))
		}
	}
	if o.Origin != matcher.Events {
		return dst
	}
	if o.Event == nil {
		return append(dst, "")
	}
	return append(dst, o.Event.Meta)
}

// IDText returns the bytes of id, or "" for the zero ID, which means absent.
func IDText(id matcher.ID) string {
	if id.IsZero() {
		return ""
	}
	return string(id[:])
}

// IDOfText is the reverse of IDText.
func IDOfText(b []byte) (id matcher.ID) {
	copy(id[:], b)
	return id
}

// recordBytes returns an approximate maximum of the length of the record of o, in bytes.
func recordBytes(o *matcher.Object) int {
	n := 3 + 3*len(o.Lists)
	var texts [textsBuffer]string
	for _, s := range Shapes[o.Origin].appendTexts(texts[:0], o) {
		n += textSize(s)
	}
	if o.Event != nil {
		for _, s := range o.Event.Tags {
			n += textSize(s)
		}
	}
	return n
}

// textSize returns the number of bytes that a text needs in a record.
func textSize(s string) int {
	var width [binary.MaxVarintLen64]byte
	return len(s) + binary.PutUvarint(width[:], uint64(len(s)))
}
