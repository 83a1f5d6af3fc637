package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContentIDs(t *testing.T) {
	const id = `"00000000-0000-0000-0000-000000000001"`
	check := func(line, want string) {
		t.Helper()
		got := string(appendWithID([]byte("before "), []byte(line), "face_id", lineID))
		want = "before " + strings.ReplaceAll(want, "ID", `"`+lineID([]byte(line)).String()+`"`)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	check("{\"a\": 1}\n", "{\"face_id\":ID,\"a\": 1}\n")
	check("  { \"a\": {\"face_id\": null}}\r\n", "  {\"face_id\":ID, \"a\": {\"face_id\": null}}\r\n") // keys of inner objects do not count
	check("{ }\n", "{\"face_id\":ID }\n")
	check("{\"a\": 1, \"face_id\" : null , \"b\": 2}\n", "{\"a\": 1, \"face_id\" : ID , \"b\": 2}\n")

	// These lines are not changed: they have an id, or the server refuses them.
	for _, line := range []string{
		`{"face_id": ` + id + `}`, `{"face_id": 7}`, `{"face_id": null, "face_id": ` + id + `}`,
		"", "\n", "null", "[]", "7", "{", `{"a": 1} {"b": 2}`, `{"a" 1}`, `{"a": 1,}`, "{\"a\": \"\x01\"}",
	} {
		check(line, line)
	}

	same := func(want bool, a, b string) {
		t.Helper()
		if got := lineID([]byte(a)) == lineID([]byte(b)); got != want {
			t.Errorf("%s and %s: same id: %v", a, b, got)
		}
	}
	same(true, `{"a":1,"b":[1,2]}`, "{ \"a\": 1,\t\"b\": [1, 2] }\r\n")
	same(false, `{"a":1}`, `{"a":2}`)
	same(false, `{"a":"1 2"}`, `{"a":"12"}`) // white space in a string matters
}
