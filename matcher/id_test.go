package matcher_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
)

func TestParseID(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		id, err := matcher.ParseID(in)
		if err != nil || id.String() != want {
			t.Errorf("%q: %v, %v", in, id, err)
		}
	}
	good("0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e")
	good("0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-469f-a165-70867728950e")
	good("ffffffff-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffffff") // not a valid UUID version

	bad := func(in string) {
		t.Helper()
		if id, err := matcher.ParseID(in); err == nil {
			t.Errorf("%q: %v", in, id)
		} else if len(err.Error()) > 300 {
			t.Errorf("%q: the error has %d bytes", in[:10], len(err.Error()))
		}
	}
	bad("")
	bad("0f8fad5b-d9cb-469f-a165-70867728950")   // short
	bad("0f8fad5b-d9cb-469f-a165-70867728950ee") // long
	bad("0f8fad5bd9cb469fa16570867728950e")      // 32 characters without dashes
	bad("0f8fad5bd9cb469fa16570867728950e0000")  // 36 characters without dashes
	bad("{0f8fad5b-d9cb-469f-a165-70867728950e}")
	bad("urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e")
	bad("0f8fad5b-d9cb-469f-a165-70867728950g")
	bad(" f8fad5b-d9cb-469f-a165-70867728950e")
	bad("0f8fad5b_d9cb_469f_a165_70867728950e")
	bad("\x00\xff8fad5b-d9cb-469f-a165-70867728950")
	bad(strings.Repeat("x", 1<<20))
}

// TestIDOrder: IDs compare like their texts.
func TestIDOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var ids []matcher.ID
	for range 300 {
		var id matcher.ID
		for i := range id {
			id[i] = byte(rng.Uint32() & 0x81) // so that long prefixes are common
		}
		ids = append(ids, id)
	}
	for _, a := range ids {
		for _, b := range ids {
			if got, want := a.Compare(b), strings.Compare(a.String(), b.String()); got != want {
				t.Fatalf("%v to %v: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestNewID(t *testing.T) {
	a, b := matcher.NewID(), matcher.NewID()
	if a == b || a.IsZero() || !(matcher.ID{}).IsZero() {
		t.Error(a, b)
	}
	if s := a.String(); s[14] != '4' || !slices.Contains([]byte("89ab"), s[19]) {
		t.Errorf("%s is not a UUID of version 4", s)
	}
}

func TestMustID(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	matcher.MustID("x")
}

// ExampleNameID derives an ID as an import does for its rows. A repeated import
// writes the same objects.
func ExampleNameID() {
	fmt.Println(matcher.NameID("nearside:0123456789abcdef:0"))
	// Output: 36803b71-1bc9-5093-93d3-a80ad96c1439
}
