package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// digest is a checksum over all lists and objects. Each commit stores it, and Open
// computes it again. Pebble's checksums prove that each block is unchanged; the
// digest proves that no record is missing. Without it, a truncated manifest or a
// truncated older log would look like a complete one.
type digest struct {
	records uint64 // number of records
	sum     uint64 // sum of the checksums of the records, modulo 2^64
}

// addRecord adds a record to the digest. It ignores a nil record.
func (d *digest) addRecord(k key, rec []byte) {
	if rec != nil {
		d.addSum(recordSum(k, rec))
	}
}

// addSum adds a record with the given checksum to the digest.
func (d *digest) addSum(sum uint64) {
	d.records++
	d.sum += sum
}

// removeRecord removes a record from the digest. It ignores a nil record.
func (d *digest) removeRecord(k key, rec []byte) {
	if rec != nil {
		d.records--
		d.sum -= recordSum(k, rec)
	}
}

// addDelta adds a difference of two digests.
func (d *digest) addDelta(delta digest) {
	d.records += delta.records
	d.sum += delta.sum
}

// check returns an error unless found, computed from the records, equals d, the digest of
// the last commit.
func (d digest) check(found digest) error {
	if found == d {
		return nil
	}
	return fmt.Errorf("the lists and objects differ from the digest of the last commit: found %d records with checksum %016x, must be %d with checksum %016x",
		found.records, found.sum, d.records, d.sum)
}

// recordSum returns the checksum of a key and its record.
func recordSum(k key, rec []byte) uint64 {
	return uint64(crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, rec))
}

// state identifies the state of the data after a commit. Each commit stores it.
type state struct {
	commits uint64 // number of the commit
	digest  digest // after the commit
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
	if sum := d.takeBytes(8); d.err == nil {
		s.digest.sum = binary.LittleEndian.Uint64(sum)
	}
	if d.err == nil && len(d.rest) > 0 {
		d.err = errors.New("unexpected bytes at the end")
	}
	if d.err != nil {
		return state{}, d.err
	}
	return s, nil
}
