package memorytest

import (
	"encoding/binary"
	"math"
	"strings"

	"nearside/matcher"
	"nearside/matcher/store"
)

// Put returns a change that puts a face with one descriptor.
func Put(id matcher.ID, version uint32, data []byte) store.Change {
	o := &matcher.Object{ID: id}
	o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: version, Data: data}
	return store.Change{Kind: store.PutObject, Object: o}
}

// Delete returns a change that deletes a face.
func Delete(id matcher.ID) store.Change { return store.Change{Kind: store.DeleteObject, ID: id} }

// Reference returns a sub-request that searches for data.
func Reference(v *matcher.Version, data []byte, c *matcher.Candidates) matcher.SubRequest {
	return matcher.SubRequest{
		Reference:  &matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: v.Number, Data: data}},
		Candidates: c, Version: v,
	}
}

// AnswersOf returns matches in the form of the answers of an [Oracle].
func AnswersOf(matches []matcher.Match) []Answer {
	var rows []Answer
	for _, m := range matches {
		rows = append(rows, Answer{m.ID, m.Distance, m.Similarity, m.CreateTime, m.Group})
	}
	return rows
}

// Version3 is the version of the descriptors of [Rows3].
func Version3() matcher.Version {
	return matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}
}

// Rows3 returns changes that put n faces with descriptors of three bytes, numbered from
// first.
func Rows3(first, n int) []store.Change {
	var changes []store.Change
	for i := first; i < first+n; i++ {
		c := Put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 1, []byte{byte(i), byte(i >> 8), 7})
		c.Object.UserData = strings.Repeat("u", i%50)
		changes = append(changes, c)
	}
	return changes
}

// PackFloats returns a descriptor with the given values.
func PackFloats(row []float32) []byte {
	var b []byte
	for _, x := range row {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
