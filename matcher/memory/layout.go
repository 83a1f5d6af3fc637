package memory

import (
	"encoding/binary"
	"hash/crc32"

	"nearside/matcher"
)

// layout is what the columns of an origin are.
type layout struct {
	origin matcher.Origin
	meta   []matcher.MetaField // of events
	hashes int                 // texts that have a column of hashes: the first ones
	texts  int                 // of a record

	columnBytes int // of a row, without its descriptors
	columnCount int
}

// The texts of a record, in their order; IDs are texts of 16 bytes. First are
// those that have a column of hashes.
const (
	textExternalID = iota
	textUserData
	faceEventID // faces
	faceHashes
	faceAvatar = faceHashes
	faceTexts  = faceAvatar + 1
)

// The texts of events after textUserData.
const (
	eventSource = iota + textUserData + 1
	eventHandler
	eventStream
	eventTrack
	eventFace
	eventCity
	eventArea
	eventDistrict
	eventStreet
	eventHouse
	eventTopObject
	eventTopExternal
	eventHashes
	eventMeta  = eventHashes
	eventTexts = eventMeta + 1
)

// textsMax is the most texts of a record.
const textsMax = eventTexts

func newLayout(o matcher.Origin, meta []matcher.MetaField) *layout {
	l := &layout{origin: o}
	const common = 16 + 8 + 4 + 3*2 + 4 + (4+8)*int(matcher.DescriptorTypes)
	l.columnBytes, l.columnCount = common, 7+2*int(matcher.DescriptorTypes)
	switch o {
	case matcher.Faces:
		l.hashes, l.texts = faceHashes, faceTexts
	case matcher.Events:
		l.hashes, l.texts, l.meta = eventHashes, eventTexts, meta
		l.columnBytes += eventBytes
		l.columnCount += eventCount + len(meta)
		for _, f := range meta {
			l.columnBytes += metaBytes[f.Type]
		}
	case matcher.Attributes:
		l.columnBytes += 8
		l.columnCount++
	}
	l.columnBytes += 4 * l.hashes
	l.columnCount += l.hashes
	return l
}

// rowOverhead is what a row needs beside its descriptors and its record: its
// columns, its ID in the map, its bits in lists.
func (l *layout) rowOverhead() int { return l.columnBytes + 40 }

// sum is a number that changes with the columns that the configuration makes.
func (l *layout) sum() uint32 {
	sum := crc32.Checksum([]byte(l.origin.String()), castagnoli)
	for _, f := range l.meta {
		sum = crc32.Update(sum, castagnoli, []byte(f.Path+" "+f.Type.String()+"\n"))
	}
	return sum
}

// textsOf appends the texts of the record of o.
func textsOf(dst []string, o *matcher.Object) []string {
	switch o.Origin {
	case matcher.Faces:
		return append(dst, o.ExternalID, o.UserData, idText(o.EventID), o.Avatar)
	case matcher.Events:
		e := o.Event
		if e == nil {
			e = &matcher.Event{}
		}
		l := &e.Location
		return append(dst, o.ExternalID, o.UserData, e.Source, idText(e.HandlerID), idText(e.StreamID), e.TrackID, idText(e.FaceID),
			l.City, l.Area, l.District, l.Street, l.HouseNumber, idText(e.TopMatch.ObjectID), e.TopMatch.ExternalID, e.Meta)
	default:
		return dst
	}
}

// idText returns the bytes of id; the zero ID is absent.
func idText(id matcher.ID) string {
	if id.IsZero() {
		return ""
	}
	return string(id[:])
}

// idOfText is the reverse of idText.
func idOfText(b []byte) (id matcher.ID) {
	copy(id[:], b)
	return id
}

// detailsBytes is at most how long the record of o is, about.
func detailsBytes(o *matcher.Object) int {
	n := 3 + 3*len(o.Lists)
	var texts [textsMax]string
	for _, s := range textsOf(texts[:0], o) {
		n += textBytes(s)
	}
	if o.Event != nil {
		for _, s := range o.Event.Tags {
			n += textBytes(s)
		}
	}
	return n
}

func textBytes(s string) int {
	var width [binary.MaxVarintLen64]byte
	return len(s) + binary.PutUvarint(width[:], uint64(len(s)))
}
