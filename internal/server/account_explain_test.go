package server_test

import (
	"encoding/binary"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/store"
)

// addMany adds objects of another account and of no account directly to the memory.
// There are more than 100,000 per origin, so the cost of the local matcher depends on
// their number. The faces are in a list without an account.
func (x *service) addMany(list matcher.ID) {
	x.Helper()
	for origin := range matcher.Origins {
		var changes []store.Change
		for n := range uint32(240_000) {
			o := &matcher.Object{Origin: origin, ID: matcher.ID{0xbb}}
			binary.BigEndian.PutUint32(o.ID[4:], n)
			o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: v4, Data: []byte{byte(n), byte(n >> 8), 3, 4}}
			switch origin {
			case matcher.Faces:
				o.Lists = []matcher.ID{list}
			case matcher.Events:
				o.Event = &matcher.Event{}
			}
			if n%2 == 0 {
				o.Account = testkit.Must(matcher.ParseID(other.account))
			}
			changes = append(changes, store.Change{Kind: store.PutObject, Object: o})
		}
		x.memory.Apply(changes)
	}
}

// TestExplainHidesOthers checks that the plan that an account sees does not depend on
// how much others store. Without an account it does.
func TestExplainHidesOthers(t *testing.T) {
	x, control := start(t), start(t)
	list := unowned.id(100)
	for _, s := range []*service{x, control} {
		s.call("POST", "/1/lists", `{"list_id":"`+list+`"}`).status(201)
		for n := 1; n <= 3; n++ {
			s.call("POST", "/1/faces", face(n, descriptor(v4, 1, 2, 3, byte(n)), `,"lists":["`+list+`"],"account_id":"`+attacker.account+`"`)).status(201)
		}
	}
	x.addMany(testkit.Must(matcher.ParseID(list)))
	foreign := `["bb000000-0000-0000-0000-000000000000","` + id(1) + `"]`
	for _, filters := range []string{
		`"origin":"faces"`, `"origin":"events"`, `"origin":"attributes"`,
		`"origin":"faces","list_id":"` + list + `"`, `"origin":"faces","lists":["` + list + `"]`, `"origin":"faces","face_ids":` + foreign,
		`"origin":"events","event_ids":` + foreign, `"origin":"attributes","attribute_ids":` + foreign, `"origin":"faces","account_id":"` + attacker.account + `"`,
	} {
		set := `{"filters":{` + filters + `}}`
		for url, body := range map[string]string{
			"/1/matcher/faces?explain=1":      matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), set),
			"/1/crossmatcher/faces?explain=1": `{"references":` + set + `,"candidates":` + set + `}`,
		} {
			account := "&account_id=" + attacker.account
			want, got := control.call("POST", url+account, body), x.call("POST", url+account, body)
			if diff := cmp.Diff(want.comparable(), got.comparable()); diff != "" {
				t.Errorf("%s %s: the answer depends on other accounts (+): %s", url, filters, diff)
			}
		}
	}
	whole := matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), `{"filters":{"origin":"faces"}}`)
	x.call("POST", "/1/matcher/faces?explain=1", whole).status(201).part("0.matches.0.plan.matchers.0.cost", "240.003")
}

// TestFullHidesOthers checks that a refusal does not reveal to an account how much
// others store, not even in the lines of an import.
func TestFullHidesOthers(t *testing.T) {
	x := start(t, func(s *settings) { s.memory = 2000 })
	for stored, n := true, 0; stored; n++ {
		stored = x.call("POST", "/1/faces", face(n, descriptor(v4, 1, 2, 3, 4))).response.StatusCode == http.StatusCreated
	}
	body, account := face(99, descriptor(v4, 1, 2, 3, 4)), "?account_id="+attacker.account
	used := itoa(int(x.memory.Stats().Bytes)) + " of 2000 bytes are used"
	x.call("POST", "/1/faces", body).fault(12052, used)
	for _, url := range []string{"/1/faces", "/1/import"} {
		x.call("POST", url+account, body).fault(12052, "limits.memory: the write needs up to ", " bytes, more than is left of the limit of 2000").lacks("used")
	}
}

// TestOverloadHidesOthers checks that neither the text nor the header of a refusal
// reveals to an account how much others wait for.
func TestOverloadHidesOthers(t *testing.T) {
	err := matcher.Overloaded(7e9, "others need 7s").Mask("not in time")
	x := start(t, func(s *settings) {
		s.matcher = func(m matcher.Matcher) matcher.Matcher { return failing{m, err} }
	})
	body := matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces())
	x.call("POST", "/1/matcher/faces", body).status(503).header("Retry-After", "7").part("detail", `"candidates[0]: others need 7s"`)
	x.call("POST", "/1/matcher/faces?account_id="+attacker.account, body).fault(12050, "candidates[0]: not in time").header("Retry-After", "1").lacks("7s")
}
