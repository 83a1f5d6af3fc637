package vectors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

// npyFile returns a file as numpy.save writes it. The header is padded with spaces and
// ends with a newline, so that the data begins at a multiple of 64 bytes.
func npyFile(version byte, dict string, data []byte) []byte {
	lengthSize := map[byte]int{1: 2, 2: 4, 3: 4}[version]
	before := 8 + lengthSize
	for (before+len(dict)+1)%64 != 0 {
		dict += " "
	}
	dict += "\n"
	file := append([]byte("\x93NUMPY"), version, 0)
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(dict)))
	file = append(file, length[:lengthSize]...)
	return append(append(file, dict...), data...)
}

// readAll returns the rows of a file, and the error that ended reading, if any.
func readAll(file []byte, f Format) (rows [][]byte, r *Reader, err error) {
	r, err = NewReader(iotest.OneByteReader(bytes.NewReader(file)), f)
	if err != nil {
		return nil, nil, err
	}
	for {
		row := make([]byte, r.RowSize())
		if err := r.Next(row); errors.Is(err, io.EOF) {
			return rows, r, nil
		} else if err != nil {
			return rows, r, err
		}
		rows = append(rows, row)
	}
}

func TestRows(t *testing.T) {
	check := func(f Format, file []byte, element Element, dim int, want ...string) {
		t.Helper()
		rows, r, err := readAll(file, f)
		if err != nil {
			t.Error(err)
			return
		}
		if r.Element() != element || r.Dim() != dim || r.RowSize() != dim*element.Size() || r.Row() != int64(len(want)) {
			t.Errorf("%v, dimension %d, %d rows", r.Element(), r.Dim(), r.Row())
		}
		if got := fmt.Sprintf("%x", rows); got != fmt.Sprintf("%x", want) {
			t.Errorf("%s, want %x", got, want)
		}
	}
	check(Bvecs, []byte("\x03\x00\x00\x00abc\x03\x00\x00\x00\x00\xff\x80"), Uint8, 3, "abc", "\x00\xff\x80")
	check(Fvecs, []byte("\x01\x00\x00\x00\x00\x00\x80\x3f"), Float32, 1, "\x00\x00\x80\x3f") // 1.0
	check(Ivecs, []byte("\x02\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff"), Int32, 2, "\x01\x00\x00\x00\xff\xff\xff\xff")

	const dict = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"
	for version := byte(1); version <= 3; version++ {
		check(Npy, npyFile(version, dict, []byte("abcdef")), Uint8, 3, "abc", "def")
	}
	check(Npy, npyFile(1, `{"shape": (2L, 1L), "fortran_order": False, "descr": "<f4"}`, []byte("abcdefgh")), Float32, 1, "abcd", "efgh")
	check(Npy, npyFile(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 3), }", nil), Uint8, 3)
}

func TestInt32s(t *testing.T) {
	got := Int32s([]byte("\x01\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x80"))
	if len(got) != 3 || got[0] != 1 || got[1] != -1 || got[2] != math.MinInt32 {
		t.Error(got)
	}
}

func TestFaults(t *testing.T) {
	check := func(f Format, file, want string) {
		t.Helper()
		_, _, err := readAll([]byte(file), f)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check(Bvecs, "", "empty file")
	check(Bvecs, "\x03\x00", "row 0 at byte 0: file ends after 2 of the 4 bytes of its dimension")
	check(Bvecs, "\x00\x00\x00\x00", "row 0 at byte 0: dimension must be 1 to 16384, got 0")
	check(Fvecs, "\xff\xff\xff\x7f", "got 2147483647")
	check(Ivecs, "\xff\xff\xff\xff", "got -1")
	check(Bvecs, "\x03\x00\x00\x00ab", "row 0 at byte 0: file ends after 2 of its 3 bytes")
	check(Bvecs, "\x03\x00\x00\x00", "row 0 at byte 0: file ends after 0 of its 3 bytes") // the row has a dimension, but no values
	check(Bvecs, "\x01\x00\x00\x00a\x01\x00\x00", "row 1 at byte 5: file ends after 3 of the 4")
	check(Bvecs, "\x01\x00\x00\x00a\x02\x00\x00\x00bc", "row 1 at byte 5: dimension must be 1, as in the rows before, got 2")
	check(Bvecs, "\x01\x00\x00\x00a\x01\x00\x00\x80b", "as in the rows before, got -2147483647")

	header := func(dict string) string { return string(npyFile(1, dict, nil)) }
	check(Npy, "", "ends at byte 0")
	check(Npy, "\x03\x00\x00\x00abc\x03\x00", "must begin with")
	check(Npy, "\x93NUMPY\x04\x00\x00\x00", "version must be 1, 2 or 3, got 4.0")
	check(Npy, "\x93NUMPY\x01\x00\x05", "ends at byte 9")
	check(Npy, "\x93NUMPY\x02\x00\xff\xff\xff\xff", "length must be at most 65536, got 4294967295")
	check(Npy, "\x93NUMPY\x01\x00\x05\x00ab", "ends at byte 12")
	check(Npy, header("[]"), "is not a dict")
	check(Npy, header("{}"), `"descr" is missing`)
	check(Npy, header("{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (1, 2)}"), "type must be uint8, float16, float32 or float64, got [('x', '<f4'), ('y', '<f4')]; convert")
	check(Npy, header("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2)}"), "got '<i8' (int64); convert")
	check(Npy, header("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2)}"), "got '|b1' (bool); convert")
	check(Npy, header("{'descr': '<f16', 'fortran_order': False, 'shape': (1, 2)}"), "got '<f16' (float128); convert")
	check(Npy, header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 2)}"), "got '|O'; convert")
	check(Npy, header("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}"), "Fortran order")
	check(Npy, header("{'descr': '|u1', 'fortran_order': Maybe, 'shape': (1, 2)}"), "must be True or False, got Maybe")
	check(Npy, header("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1, 2)}"), "occurs twice")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), 'x': 1}"), "must have only the keys")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': ()}"), "shape must be (rows, dimension) or (dimension,), got ()")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (0,)}"), "dimension must be 1 to 16384, got 0")
	check(Npy, header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}")+"\x00\x01\x02", "row 0 at byte 128: file ends after 3 of its 16 bytes, but the header has 2 rows")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3)}"), "must be (rows, dimension)")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': 5}"), "must be (rows, dimension)")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 99999)}"), "dimension must be 1 to 16384, got 99999")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (9223372036854775807, 2)}"), "rows must be at most 70368744177663, got 9223372036854775807")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 2)}"), "a size must be an integer")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}")+"abc", "row 1 at byte 130: file ends after 1 of its 2 bytes, but the header has 2 rows")
	check(Npy, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2)}")+"abc", "byte 130: file must end after the 1 rows")
}

// TestReadError checks that a read error is not reported as the end of the file or as
// a truncated file, and that later calls return it again.
func TestReadError(t *testing.T) {
	broken := errors.New("broken disk")
	in := io.MultiReader(strings.NewReader("\x01\x00\x00\x00a\x01\x00"), iotest.ErrReader(broken))
	r, err := NewReader(in, Bvecs)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, 1)
	if err := r.Next(row); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Next(row); !errors.Is(err, broken) || !strings.Contains(err.Error(), "row 1 at byte 5") {
			t.Error(err)
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	file := bytes.Repeat([]byte("\x04\x00\x00\x00abcd"), 1000)
	r, err := NewReader(bytes.NewReader(file), Bvecs)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, 4)
	if n := testing.AllocsPerRun(500, func() {
		if err := r.Next(row); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per row", n)
	}
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]Format{"a.bvecs": Bvecs, "/x.y/b.FVECS": Fvecs, "c.ivecs": Ivecs, "d.npy": Npy} {
		if f, ok := FormatOf(name); !ok || f != want {
			t.Error(name, f, ok)
		}
	}
	for _, name := range []string{"", "bvecs", "a.npz", "a.npy.gz", "-"} {
		if f, ok := FormatOf(name); ok {
			t.Error(name, f)
		}
	}
}
