package store

import (
	"hash/crc32"
	"runtime"
	"slices"
	"sync"

	"nearside/matcher"
)

// lineRecord is what can be computed of a line's record outside the writer goroutine:
// everything except the field of lists. Only the writer knows the numbers of lists and
// the lists of a stored object.
type lineRecord struct {
	face  *matcher.Object // a copy of a face, without lists
	bytes []byte          // the record without lists; the capacity has room for them
	lists int             // where the field of lists belongs in bytes
	sum   uint32          // checksum of the key and of bytes before lists
}

// prepare computes the record of o, which must not change afterwards. It returns buffer,
// which it uses and may have enlarged.
func (r *lineRecord) prepare(o *matcher.Object, buffer []byte) []byte {
	buffer, r.lists = appendWithoutLists(buffer[:0], o)
	lists := 0
	if o.Origin == matcher.Faces {
		lists = listsHeadBytes + listNumberBytes*(len(o.Lists)+1) // the import may add a list
	}
	r.bytes = append(make([]byte, 0, len(buffer)+lists), buffer...)
	k := objectKey(o.Origin, o.ID)
	r.sum = crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, r.bytes[:r.lists])
	if o.Origin == matcher.Faces {
		c := *o
		c.Lists = nil
		r.face = &c
	}
	return buffer
}

// Bytes of the field of lists that are usually enough.
const (
	listsHeadBytes  = 4
	listNumberBytes = 3
)

// appendWithoutLists appends the record of o without the field of lists, and returns
// where that field belongs.
func appendWithoutLists(dst []byte, o *matcher.Object) (rec []byte, lists int) {
	dst = append(dst, recordVersions[o.Origin])
	fields := recordFields[o.Origin]
	for i := range fields {
		if fields[i].tag == tagLists {
			lists = len(dst)
			continue
		}
		dst, _ = fields[i].append(dst, o, nil) // only lists can fail
	}
	if lists == 0 {
		lists = len(dst)
	}
	return dst, lists
}

// complete returns the record of o and the checksum of its key and record. r must not be
// used afterwards. The error is CodeListNotFound if a list of o is not in the table.
func (r *lineRecord) complete(o *matcher.Object, table *listTable) (rec []byte, sum uint64, err error) {
	rec = r.bytes
	if len(o.Lists) > 0 {
		var few [32]byte
		field, err := appendLists(few[:0], o.Lists, table)
		if err != nil {
			return nil, 0, err
		}
		rec = slices.Insert(rec, r.lists, field...)
	}
	return slices.Clip(rec), uint64(crc32.Update(r.sum, castagnoli, rec[r.lists:])), nil
}

// putLine stores o, the object of a line or the copy in its record.
func (tx *Tx) putLine(o *matcher.Object, r *lineRecord) error {
	rec, sum, err := r.complete(o, tx.store.lists)
	if err != nil {
		return err
	}
	return tx.putRecord(o, objectKey(o.Origin, o.ID), rec, sum)
}

// recordsOf returns the records of lines.
func recordsOf(lines []ImportLine) []lineRecord {
	records := make([]lineRecord, len(lines))
	inParts(len(lines), func(begin, end int) {
		var buffer []byte
		for i := begin; i < end; i++ {
			buffer = records[i].prepare(lines[i].Object, buffer)
		}
	})
	return records
}

// partMin is the smallest number of lines for which another goroutine is worth its start.
const partMin = 512

// inParts calls f for parts of n lines, on all cores if there are many lines.
func inParts(n int, f func(begin, end int)) {
	parts := max(1, min(runtime.GOMAXPROCS(0), n/partMin))
	var others sync.WaitGroup
	for p := 1; p < parts; p++ {
		others.Go(func() { f(p*n/parts, (p+1)*n/parts) })
	}
	f(0, n/parts)
	others.Wait()
}
