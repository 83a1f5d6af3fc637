package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"nearside/matcher"
)

// Tags of what only events and attributes have, above those of every object.
// The forms beside those of codec.go: texts uvarint count, then texts; float 8
// bytes; position two floats.
const (
	tagEndTime       = 64 + iota // time, which may be zero
	tagSource                    // text
	tagHandlerID                 // id
	tagStreamID                  // id
	tagTrackID                   // text
	tagTags                      // texts
	tagFaceID                    // id
	tagEmotion                   // small
	tagMask                      // small
	tagCity                      // text
	tagArea                      // text
	tagDistrict                  // text
	tagStreet                    // text
	tagHouseNumber               // text
	tagPosition                  // position: longitude, latitude
	tagTopObject                 // id
	tagTopExternal               // text
	tagTopSimilarity             // float
	tagMeta                      // text
	tagExpires                   // time
)

// appendOwn appends what only events and attributes have.
func appendOwn(dst []byte, o *matcher.Object) []byte {
	if e := o.Event; e != nil {
		dst = appendEvent(dst, e)
	}
	return appendTime(dst, tagExpires, o.Expires)
}

func appendEvent(dst []byte, e *matcher.Event) []byte {
	if e.EndTime != nil {
		dst = binary.AppendVarint(append(dst, tagEndTime), int64(*e.EndTime))
	}
	dst = appendText(dst, tagSource, e.Source)
	dst = appendID(dst, tagHandlerID, e.HandlerID)
	dst = appendID(dst, tagStreamID, e.StreamID)
	dst = appendText(dst, tagTrackID, e.TrackID)
	if len(e.Tags) > 0 {
		dst = binary.AppendUvarint(append(dst, tagTags), uint64(len(e.Tags)))
		for _, s := range e.Tags {
			dst = binary.AppendUvarint(dst, uint64(len(s)))
			dst = append(dst, s...)
		}
	}
	dst = appendID(dst, tagFaceID, e.FaceID)
	dst = appendSmall(dst, tagEmotion, e.Emotion)
	dst = appendSmall(dst, tagMask, e.Mask)
	dst = appendText(dst, tagCity, e.Location.City)
	dst = appendText(dst, tagArea, e.Location.Area)
	dst = appendText(dst, tagDistrict, e.Location.District)
	dst = appendText(dst, tagStreet, e.Location.Street)
	dst = appendText(dst, tagHouseNumber, e.Location.HouseNumber)
	if p := e.Location.Position; p != nil {
		dst = appendFloats(append(dst, tagPosition), p.Longitude, p.Latitude)
	}
	dst = appendID(dst, tagTopObject, e.TopMatch.ObjectID)
	dst = appendText(dst, tagTopExternal, e.TopMatch.ExternalID)
	if s := e.TopMatch.Similarity; s != nil {
		dst = appendFloats(append(dst, tagTopSimilarity), *s)
	}
	return appendText(dst, tagMeta, e.Meta)
}

func appendFloats(dst []byte, all ...float64) []byte {
	for _, f := range all {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return dst
}

// eventBytesMax is more than appendEvent can append.
func eventBytesMax(e *matcher.Event) int {
	if e == nil {
		return 0
	}
	n := 256 + len(e.Source) + len(e.TrackID) + len(e.TopMatch.ExternalID) + len(e.Meta)
	l := &e.Location
	n += len(l.City) + len(l.Area) + len(l.District) + len(l.Street) + len(l.HouseNumber)
	for _, s := range e.Tags {
		n += binary.MaxVarintLen64 + len(s)
	}
	return n
}

// own reads a field that only events and attributes have.
func (d *decoder) own(o *matcher.Object, tag byte) {
	if tag == tagExpires {
		o.Expires = d.time()
		return
	}
	if o.Event == nil {
		o.Event = &matcher.Event{}
	}
	e := o.Event
	switch tag {
	case tagEndTime:
		t := d.time()
		e.EndTime = &t
	case tagSource:
		e.Source = string(d.bytes())
	case tagHandlerID:
		e.HandlerID = d.id()
	case tagStreamID:
		e.StreamID = d.id()
	case tagTrackID:
		e.TrackID = string(d.bytes())
	case tagTags:
		e.Tags = d.texts()
	case tagFaceID:
		e.FaceID = d.id()
	case tagEmotion:
		e.Emotion = d.small()
	case tagMask:
		e.Mask = d.small()
	case tagMeta:
		e.Meta = string(d.bytes())
	default:
		d.place(e, tag)
	}
}

// place reads a field of the location or of the top match.
func (d *decoder) place(e *matcher.Event, tag byte) {
	switch tag {
	case tagCity:
		e.Location.City = string(d.bytes())
	case tagArea:
		e.Location.Area = string(d.bytes())
	case tagDistrict:
		e.Location.District = string(d.bytes())
	case tagStreet:
		e.Location.Street = string(d.bytes())
	case tagHouseNumber:
		e.Location.HouseNumber = string(d.bytes())
	case tagPosition:
		e.Location.Position = &matcher.Position{Longitude: d.float(), Latitude: d.float()}
	case tagTopObject:
		e.TopMatch.ObjectID = d.id()
	case tagTopExternal:
		e.TopMatch.ExternalID = string(d.bytes())
	case tagTopSimilarity:
		s := d.float()
		e.TopMatch.Similarity = &s
	default:
		d.fail(fmt.Errorf("tag %d is unknown", tag))
	}
}

func (d *decoder) texts() []string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) { // each takes a byte or more
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
	b := d.take(8)
	if d.err != nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}
