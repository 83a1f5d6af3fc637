package server_test

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestImportOrder checks that the last line with an ID is stored and that errors are
// in the order of lines, although several goroutines decode them.
func TestImportOrder(t *testing.T) {
	x := start(t)
	const other = "bbbbbbbb-0000-4000-8000-000000000000"
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), `,"account_id":"`+other+`"`)).status(201)
	const lines, ids, period = 40_000, 100, 400 // two of each 400 lines are bad
	var body, want strings.Builder
	for n := range lines {
		switch n % period {
		case 0: // the decoder refuses it
			fmt.Fprintln(&body, `{"descriptor":7}`)
		case 1: // the store refuses it
			fmt.Fprintln(&body, face(1, descriptor(v4, 1, 2, 3, 4)))
		default:
			fmt.Fprintln(&body, face(2+n%ids, descriptor(v4, 1, 2, 3, 4), fmt.Sprintf(`,"user_data":"%d"`, n)))
		}
		if n%period < 2 && n/period < 50 {
			fmt.Fprintf(&want, " %d", n+1)
		}
	}
	const account = "aaaaaaaa-0000-4000-8000-000000000000"
	a := x.call("POST", "/1/import?account_id="+account, body.String()).status(200).
		part("accepted", strconv.Itoa(lines-2*lines/period)).part("rejected", strconv.Itoa(2*lines/period))
	var got strings.Builder
	for _, e := range a.at("errors").([]any) {
		fmt.Fprintf(&got, " %.0f", e.(map[string]any)["line"])
	}
	if got.String() != want.String() {
		t.Errorf("errors of lines %s\nwant %s", &got, &want)
	}
	for n := lines - ids; n < lines; n++ {
		x.call("GET", "/1/faces/"+id(2+n%ids), "").status(200).part("user_data", strconv.Quote(strconv.Itoa(n)))
	}
}

// TestSlowImport checks that a line is stored although the next one does not
// arrive.
func TestSlowImport(t *testing.T) {
	x := start(t)
	in, out := io.Pipe()
	done := make(chan *answer)
	go func() { done <- x.send("POST", "/1/import", in) }()
	_, err := io.WriteString(out, face(1, descriptor(v4, 1, 2, 3, 4))+"\n"+face(2, descriptor(v4, 1, 2, 3, 4)))
	check(t, err)
	for x.memory.Stats().Rows[0] < 1 {
		runtime.Gosched()
	}
	check(t, out.Close())
	(<-done).status(200).part("accepted", "2")
}
