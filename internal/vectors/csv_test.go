package vectors

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// tableRows returns the rows of a table as text, with a line for each RowError, and the
// error that ended reading, if any.
func tableRows(t Table, vector VectorColumn, columns ...string) (rows []string, err error) {
	if err := t.Select(vector, columns); err != nil {
		return nil, err
	}
	row, values := make([]byte, vector.Dim*vector.Element.Size()), make([]any, len(columns))
	for {
		err := t.Next(row, values)
		fault, isFault := errors.AsType[*RowError](err)
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case isFault:
			rows = append(rows, fmt.Sprintf("%d: %s", fault.Row, fault.Detail()))
			continue
		case err != nil:
			return rows, err
		}
		cells := []string{hex.EncodeToString(row)}
		for _, v := range values {
			cells = append(cells, fmt.Sprintf("%T(%v)", v, v))
		}
		rows = append(rows, strings.Join(cells, " "))
	}
}

func csvRows(text string, rowMax int64, vector VectorColumn, columns ...string) ([]string, error) {
	t, err := NewCSV(iotest.OneByteReader(strings.NewReader(text)), rowMax)
	if err != nil {
		return nil, err
	}
	return tableRows(t, vector, columns...)
}

func TestCSV(t *testing.T) {
	check := func(element Element, dim int, text string, want ...string) {
		t.Helper()
		got, err := csvRows(text, 1<<20, VectorColumn{"v", element, dim}, "name", "age")
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	// 1.5 is 3fc00000 and -2 is c0000000 as big-endian float32.
	want := "0000c03f000000c0 string(a) string(7)"
	for _, vector := range []string{"1.5 -2", "1.5;-2", `"[1.5, -2]"`, `"1.5,-2"`, `" [ 1.5` + "\n" + `-2.0 ]"`, `"[15e-1,-2e0]"`} {
		check(Float32, 2, "name,v,age\na,"+vector+",7\n", want)
	}
	check(Float32, 2, "\uFEFF name , v, age,\r\na,1.5 -2,7,x\r\n", want) // a byte order mark, spaces, a column without a name
	check(Uint8, 3, "age,name,v\n,\"x, \"\"y\"\"\nz\",0 1.0 255\n1,,255;0;7", "0001ff string(x, \"y\"\nz) <nil>(<nil>)", "ff0007 <nil>(<nil>) string(1)")
	check(Uint8, 1, "name,age,v\n")
	check(Float32, 1, "name,age,v\n,,0.1", "cdcccc3d <nil>(<nil>) <nil>(<nil>)")                          // 0.1 is 3dcccccd
	check(Float32, 1, "name,age,v\n,,1.00000017881393432617187499", "0100803f <nil>(<nil>) <nil>(<nil>)") // rounding to float64 first would give 3f800002

	// The rows around a row with a fault are read.
	good := "01 string(a) string(1)"
	fault := func(row, want string) {
		t.Helper()
		check(Uint8, 1, "name,age,v\na,1,1\n"+row+"\na,1,1\n", good, "1: "+want, good)
	}
	fault("a,1,1 2", "column v: must have 1 values, got 2")
	fault("a,1,", "column v: must have 1 values, got 0")
	fault("a,1,x", `column v: value 0 must be a number, got "x"`)
	fault("a,1,256", "column v: value 0 must be an integer from 0 to 255, got 256")
	fault("a,1,-1", "column v: value 0 must be an integer from 0 to 255, got -1")
	fault("a,1,7 0.5", "column v: value 1 must be an integer from 0 to 255, got 0.5")
	fault("a,1,NaN", "column v: value 0 must be an integer from 0 to 255, got NaN")
	fault("a,1,1e999", "column v: value 0 must be an integer from 0 to 255, got +Inf")
	fault("a,1,[1", "column v: must end with ] because it begins with [")
	fault("a,1,1_0", `column v: value 0 must be a number, got "1_0"`)
	fault("a,1,0x1p2", `column v: value 0 must be a number, got "0x1p2"`)
	fault(`a,1,",1"`, "column v: value 0 is missing")
	fault("a,1,1; ", "column v: value 1 is missing")
	check(Uint8, 3, "name,age,v\na,1,\"[1,,2,3]\"\n", "0: column v: value 1 is missing")
	fault("a,1", "must have 3 values, like the header, got 2")
	fault("a,1,1,1", "must have 3 values, like the header, got 4")
	check(Float32, 1, "name,age,v\n,,1e39", "0: column v: value 0: 1e39 is beyond the range of float32 (±3.4028235e+38)")
}

func TestCSVFaults(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		_, err := csvRows(text, 100, VectorColumn{"v", Uint8, 1}, "name")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check("", "empty file; the first line must have the names of the columns")
	check("v,v\n", `header: column "v" occurs twice`)
	check("name,w\n", `file has no column "v"; its columns are name, w`)
	check("v,other\n", `file has no column "name"`)
	check("v,name\n1,\"a\" b\n", "row 0: parse error on line 2, column 5")
	check("v,name\n1,a\n2,\"b\n", "row 1: ")
	check("v,name\n1,\""+strings.Repeat("x\n", 100), "row 0: must have at most 100 bytes") // an open quote does not read the whole file
	check(strings.Repeat("x", 200), "header must have at most 100 bytes")

	rows, err := csvRows("v\n"+strings.Repeat("1\n", 1000), 100, VectorColumn{"v", Uint8, 1}) // the limit is for a row, not for the file
	if len(rows) != 1000 || err != nil {
		t.Error(len(rows), err)
	}

	table, err := NewCSV(io.MultiReader(strings.NewReader("v,name\n1,a\n"), iotest.ErrReader(errors.New("broken disk"))), 100)
	if err != nil {
		t.Fatal(err)
	}
	rows, err = tableRows(table, VectorColumn{"v", Uint8, 1})
	if len(rows) != 1 || err == nil || !strings.Contains(err.Error(), "row 1: broken disk") {
		t.Error(rows, err)
	}
	if err := table.Next(make([]byte, 1), nil); err == nil || !strings.Contains(err.Error(), "broken disk") {
		t.Error(err)
	}
}
