package vectors

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fuzzFormat reads arbitrary bytes as a file of a format. If the file is accepted,
// writing its rows again must give the bytes of the file. For .npy this holds for the
// bytes after the header.
func fuzzFormat(f *testing.F, format Format) {
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, r, err := readAll(file, format)
		if r == nil {
			return
		}
		var again []byte
		for _, row := range rows {
			if format != Npy {
				again = binary.LittleEndian.AppendUint32(again, uint32(r.Dim()))
			}
			again = append(again, row...)
		}
		switch {
		case format != Npy && !bytes.HasPrefix(file, again), format == Npy && !bytes.Contains(file, again):
			t.Error("the rows differ from the file")
		case format != Npy && err == nil && len(again) != len(file):
			t.Errorf("only %d of %d bytes were read, without an error", len(again), len(file))
		case format == Npy && err == nil && !bytes.HasSuffix(file, again):
			t.Error("the file does not end with the rows")
		}
	})
}

func FuzzBvecs(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00abc\x03\x00\x00\x00def"))
	fuzzFormat(f, Bvecs)
}

func FuzzFvecs(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00abcd\x01\x00\x00\x00efgh"))
	fuzzFormat(f, Fvecs)
}

func FuzzIvecs(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00abcd\x01\x00\x00\x00efg"))
	fuzzFormat(f, Ivecs)
}

func FuzzNpy(f *testing.F) {
	for version := byte(1); version <= 3; version++ {
		f.Add(npyFile(version, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", []byte("abcdef")))
	}
	f.Add(npyFile(1, "{'shape': (1L, 1), 'fortran_order': False, 'descr': '<f4'}", []byte("abcd")))
	fuzzFormat(f, Npy)
}
