package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// digest is a sum over all lists and objects. Each commit stores it, and
// opening computes it again: Pebble's checksums tell that every block is as it
// was written, this tells that none is missing. A manifest or an older log
// that ends early is otherwise taken for one that was just written.
type digest struct {
	records uint64 // how many there are
	sum     uint64 // of the checksums of their keys and values, modulo 2^64
}

// add brings a record in. A nil record is none.
func (d *digest) add(k key, rec []byte) {
	if rec != nil {
		d.records++
		d.sum += recordSum(k, rec)
	}
}

// drop takes a record out. A nil record is none.
func (d *digest) drop(k key, rec []byte) {
	if rec != nil {
		d.records--
		d.sum -= recordSum(k, rec)
	}
}

// join adds a difference.
func (d *digest) join(delta digest) {
	d.records += delta.records
	d.sum += delta.sum
}

func recordSum(k key, rec []byte) uint64 {
	return uint64(crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, rec))
}

// state is what each commit stores about itself.
type state struct {
	commits uint64 // number of the commit
	digest  digest // after it
}

func (s state) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, s.commits)
	dst = binary.AppendUvarint(dst, s.digest.records)
	return binary.LittleEndian.AppendUint64(dst, s.digest.sum)
}

func decodeState(b []byte) (s state, err error) {
	d := decoder{rest: b}
	s.commits = d.uvarint()
	s.digest.records = d.uvarint()
	if sum := d.take(8); d.err == nil {
		s.digest.sum = binary.LittleEndian.Uint64(sum)
	}
	if d.err == nil && len(d.rest) > 0 {
		d.err = errors.New("there is more than expected")
	}
	if d.err != nil {
		return state{}, fmt.Errorf("state of the last commit: %w", d.err)
	}
	return s, nil
}
