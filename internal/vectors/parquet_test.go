package vectors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestParquetOfDuckDB reads a file that DuckDB wrote (testdata/duckdb.sql). Row i of 4 has
// the vector (i, i+0.5, -i, 0.1), or (i, 255, 0, 7).
func TestParquetOfDuckDB(t *testing.T) {
	file, err := os.ReadFile("testdata/duckdb.parquet")
	if err != nil {
		t.Fatal(err)
	}
	read := func(vector string, element Element, columns ...string) []string {
		t.Helper()
		table, err := NewParquet(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		if table.Rows() != 4 || strings.Join(table.Columns(), " ") != "face_id name age create_time tags location.city embedding fixed doubles small bin txt score" {
			t.Error(table.Rows(), table.Columns())
		}
		rows, err := tableRows(table, VectorColumn{vector, element, 4}, columns...)
		if err != nil || table.Row() != 4 {
			t.Error(err, table.Row())
		}
		return rows
	}
	check := func(vector string, element Element, columns []string, want ...string) {
		t.Helper()
		if got := read(vector, element, columns...); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	floats := []string{ // little-endian float32
		"000000000000003f00000080cdcccc3d", "0000803f0000c03f000080bfcdcccc3d", "0000004000002040000000c0cdcccc3d", "0000404000006040000040c0cdcccc3d",
	}
	for _, column := range []string{"embedding", "fixed", "doubles", "txt"} {
		got := read(column, Float32)
		got[0] = strings.Replace(got[0], "00000080", "00000000", 1) // the sign of -0
		want := append([]string{"000000000000003f00000000cdcccc3d"}, floats[1:]...)
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
	}
	check("small", Uint8, nil, "00ff0007", "01ff0007", "2: column small: has no vector", "3: column small: must have 4 values, got 2")
	check("bin", Uint8, []string{"face_id", "name", "age"},
		"00ff0007 string(00000000-0000-0000-0000-000000000001) string(n0) int64(20)",
		"01ff0007 string(00000000-0000-0000-0000-000000000002) <nil>(<nil>) int64(21)",
		"02ff0007 string(00000000-0000-0000-0000-000000000003) string(n2) int64(22)",
		"03ff0007 string(00000000-0000-0000-0000-000000000004) string(n3) int64(23)")
	check("bin", Uint8, []string{"create_time", "tags", "location.city", "score"},
		"00ff0007 string(2026-05-01T00:00:00.25Z) []interface {}([a b c]) string(C0) float64(0)",
		"01ff0007 string(2026-05-02T00:00:00.25Z) <nil>(<nil>) string(C1) float64(1)",
		"02ff0007 string(2026-05-03T00:00:00.25Z) <nil>(<nil>) string(C2) float64(NaN)",
		"03ff0007 string(2026-05-04T00:00:00.25Z) <nil>(<nil>) string(C3) float64(3)")
	four := "column bin: must have 16 bytes, which are 4 float32, got 4"
	check("bin", Float32, nil, "0: "+four, "1: "+four, "2: "+four, "3: "+four)

	refuse := func(want, vector string, columns ...string) {
		t.Helper()
		table, err := NewParquet(bytes.NewReader(file), int64(len(file)))
		if err == nil {
			_, err = tableRows(table, VectorColumn{vector, Float32, 4}, columns...)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	refuse(`file has no column "x"; its columns are face_id, name,`, "x")
	refuse(`file has no column "location"`, "embedding", "location")
	refuse("column age must be a list of numbers, bytes or text, got INT(8,false)", "age")
	refuse("column tags must be a list of numbers, bytes or text, got a list of STRING", "tags")
}

// parquetRow is a row of the files that the tests write.
type parquetRow struct {
	Name     string    `parquet:"name,optional"`
	List     []float64 `parquet:"list,list"`
	Repeated []float32 `parquet:"repeated"`
	Tags     []string  `parquet:"tags,list"`
	Number   uint64    `parquet:"number"`
	Flag     bool      `parquet:"flag"`
}

// writeParquet writes rows in small pages and row groups, so that rows and pages begin at
// different values.
func writeParquet(t *testing.T, rows []parquetRow, options ...parquet.WriterOption) []byte {
	t.Helper()
	var file bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&file, append(options, parquet.PageBufferSize(64), parquet.MaxRowsPerRowGroup(37))...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestParquetPages compares random rows with what the library's writer made of them.
func TestParquetPages(t *testing.T) {
	const dim = 7
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	rows, lists, repeated := make([]parquetRow, 300), []string{}, []string{}
	for i := range rows {
		r := &rows[i]
		r.Number, r.Flag = random.Uint64()>>1, i%2 == 0
		if i%3 != 0 {
			r.Name = fmt.Sprint("n", i)
		}
		var list, plain []byte
		for range dim {
			v := random.NormFloat64()
			r.List, r.Repeated = append(r.List, v), append(r.Repeated, float32(2*v))
			list = binary.LittleEndian.AppendUint32(list, math.Float32bits(float32(v)))
			plain = binary.LittleEndian.AppendUint32(plain, math.Float32bits(float32(2*v)))
		}
		name := "<nil>(<nil>)"
		if r.Name != "" {
			name = fmt.Sprintf("string(%s)", r.Name)
		}
		tags := "<nil>(<nil>)"
		for range random.IntN(4) {
			r.Tags = append(r.Tags, fmt.Sprint("tag", random.IntN(1e9)))
		}
		if len(r.Tags) > 0 {
			tags = fmt.Sprintf("[]interface {}(%v)", r.Tags)
		}
		lists = append(lists, fmt.Sprintf("%x %s int64(%d) %s", list, name, r.Number, tags))
		repeated = append(repeated, fmt.Sprintf("%x bool(%v) %s", plain, r.Flag, name))
		switch i % 50 {
		case 7:
			r.List = append(r.List, 1)
			lists[i] = fmt.Sprintf("%d: column list: must have 7 values, got 8", i)
		case 8:
			r.List = nil
			lists[i] = fmt.Sprintf("%d: column list: has no vector", i)
		case 9:
			r.List[3] = 1e300
			lists[i] = fmt.Sprintf("%d: column list: value 3: 1e+300 is beyond the range of float32 (±3.4028235e+38)", i)
		}
	}
	for _, version := range []int{1, 2} {
		file := writeParquet(t, rows, parquet.DataPageVersion(version))
		check := func(vector string, want []string, columns ...string) {
			t.Helper()
			table, err := NewParquet(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := tableRows(table, VectorColumn{vector, Float32, dim}, columns...)
			if err := errors.Join(err, table.Close()); err != nil {
				t.Error(err)
			}
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("seed %d, page version %d, row %d: %s, want %s", seed, version, i, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d rows, want %d", len(got), len(want))
			}
		}
		check("list", lists, "name", "number", "tags")
		check("repeated", repeated, "flag", "name")
	}
}

// TestDamagedParquet: a file with any wrong byte, or cut at any byte, is read or refused.
// It does not end the program, and needs no more memory than a small file does.
func TestDamagedParquet(t *testing.T) {
	file := writeParquet(t, []parquetRow{{Name: "a", List: []float64{1, 2}}, {List: []float64{3, 4}}})
	read := func(file []byte) {
		table, err := NewParquet(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		defer table.Close()
		if rows, err := tableRows(table, VectorColumn{"list", Float32, 2}, "name"); err == nil && len(rows) > 1000 {
			t.Errorf("%d rows", len(rows))
		}
	}
	var before, after runtime.MemStats
	for i := range file {
		runtime.ReadMemStats(&before)
		read(file[:i])
		for _, b := range []byte{1, 2, 0x40, 0xff} {
			damaged := bytes.Clone(file)
			damaged[i] ^= b
			read(damaged)
		}
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
			t.Errorf("damage at byte %d of %d: %d bytes were allocated", i, len(file), allocated)
		}
	}
}
