package server_test

import (
	"strings"
	"testing"

	"nearside/internal/access"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestAccounts checks that objects of another account or of no account are not visible,
// however a request gives its account.
func TestAccounts(t *testing.T) {
	for _, place := range []string{"account_id", "Luna-Account-Id", "key"} {
		t.Run(place, func(t *testing.T) { checkAccounts(t, place) })
	}
}

// accountKeys returns keys that are bound to accounts, for the place "key". conflict is the
// code of a request that names another account, and its error has the texts of conflicting:
// the account b, and that of the request, a, unless it is that of a key.
func accountKeys(place, a, b string) (r *keyring, conflict int, conflicting []string) {
	r = newKeyring()
	for _, account := range []string{a, b, id(7)} {
		r.add(access.Key{Name: account, Roles: []access.Role{access.Write}, Account: testkit.Must(matcher.ParseID(account))})
	}
	if place != "key" {
		r.Config = access.Config{}
		return r, 31000, []string{b, a}
	}
	return r, 12026, []string{b}
}

func checkAccounts(t *testing.T, place string) {
	const a, b = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
	r, conflict, conflicting := accountKeys(place, a, b)
	x := startWithKeys(t, r)
	as := func(method, path, body, account string) *answer {
		t.Helper()
		if place == "key" {
			return x.call(method, path, body, "Authorization", "Bearer "+r.secrets[strings.ToLower(account)])
		}
		if place != "account_id" {
			return x.call(method, path, body, place, account)
		}
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		return x.call(method, path+separator+"account_id="+account, body)
	}
	data := descriptor(v4, 1, 2, 3, 4)
	as("POST", "/1/faces", face(1, data, `,"external_id":"x"`), a).status(201) // set by the server
	as("POST", "/1/faces", face(2, data, `,"external_id":"x","account_id":"`+strings.ToUpper(b)+`"`), b).status(201)
	x.call("POST", "/1/faces", face(3, data, `,"external_id":"x"`)).status(201) // without an account
	as("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`, a).status(201)
	as("POST", "/1/lists", `{"list_id":"`+id(2)+`","account_id":"`+b+`"}`, b).status(201)
	x.call("POST", "/1/lists", `{"list_id":"`+id(3)+`"}`).status(201)

	// Objects without an account are stored with a zero ID, which no request may name.
	if place != "key" {
		as("GET", "/1/faces", "", "00000000-0000-0000-0000-000000000000").fault(12022, place, "0000")
	}

	// Reading.
	x.call("GET", "/1/faces/"+id(1), "").status(200).part("account_id", `"`+a+`"`)
	as("GET", "/1/faces/"+id(1), "", a).status(200)
	as("GET", "/1/faces/"+id(1), "", strings.ToUpper(a)).status(200)
	as("GET", "/1/faces/"+id(2), "", a).fault(22004, id(2))
	as("GET", "/1/faces/"+id(3), "", a).fault(22004, id(3))
	as("GET", "/1/faces", "", a).status(200).part("count", "1").part("faces.0.face_id", `"`+id(1)+`"`)
	as("GET", "/1/lists/"+id(1), "", a).status(200).part("account_id", `"`+a+`"`)
	as("GET", "/1/lists/"+id(2), "", a).fault(22002, id(2))
	as("GET", "/1/lists/"+id(3), "", a).fault(22002, id(3))
	as("GET", "/1/lists", "", a).status(200).part("count", "1")
	lines := string(as("GET", "/1/export", "", a).status(200).body)
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, id(1)) {
		t.Errorf("export: %s", lines)
	}
	x.call("GET", "/1/faces", "").status(200).part("count", "3")

	// Matching: candidates, references and keys.
	match := func(reference, filter string) *answer {
		t.Helper()
		return as("POST", "/1/matcher/faces", matchBody(reference, `{"filters":{"origin":"faces"`+filter+`},"targets":[]}`), a)
	}
	only := `[{"face":{"face_id":"` + id(1) + `"}}]`
	match(givenDescriptor(data), "").status(201).part("0.matches.0.result", only)
	match(storedFace(1), "").status(201).part("0.matches.0.result", only)
	match(givenDescriptor(data), `,"account_id":"`+a+`"`).status(201).part("0.matches.0.result", only)
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(data), `{"filters":{"origin":"faces","account_id":"00000000-0000-0000-0000-000000000000"}}`)).
		fault(12022, "candidates[0].filters.account_id")
	match(storedFace(2), "").fault(22004, "references[0]", id(2))
	match(storedFace(3), "").fault(22004, "references[0]", id(3))
	match(key("x"), "").status(201).part("0.reference.object_id", `"`+id(1)+`"`)
	match(givenDescriptor(data), `,"account_id":"`+b+`"`).fault(conflict, append(conflicting, "candidates[0].filters.account_id")...)

	// Writing.
	as("POST", "/1/faces", face(9, data, `,"account_id":"`+b+`"`), a).fault(conflict, append(conflicting, "account_id")...)
	as("POST", "/1/lists", `{"account_id":"`+b+`"}`, a).fault(conflict, append(conflicting, "account_id")...)
	as("PUT", "/1/faces/"+id(2), face(2, data), a).fault(12026, "face_id", id(2))
	as("PUT", "/1/faces/"+id(3), face(3, data), a).fault(12026, "face_id", id(3))
	as("PATCH", "/1/faces/"+id(2), `{"age":1}`, a).fault(22004, id(2))
	as("DELETE", "/1/faces/"+id(2), "", a).fault(22004, id(2))
	as("PATCH", "/1/lists/"+id(2), `{}`, a).fault(22002, id(2))
	as("DELETE", "/1/lists/"+id(2), "", a).fault(22002, id(2))
	as("DELETE", "/1/faces?external_ids=x", "", id(7)).status(200).json(`{"deleted":0}`)
	x.call("GET", "/1/faces", "").status(200).part("count", "3")

	// Linking: a face and a list of different accounts cannot be linked.
	link := func(account string, list, face int) *answer {
		t.Helper()
		return as("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(list)+`","face_ids":["`+id(face)+`"]}`, account)
	}
	link(a, 1, 1).status(204)
	link(a, 2, 1).fault(22002, "list_id", id(2))
	link(a, 1, 2).fault(22004, "face_ids[0]", id(2))
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(2)+`","face_ids":["`+id(1)+`"]}`).fault(12026, "face_ids", id(1), id(2))
	as("POST", "/1/faces", face(9, data, `,"lists":["`+id(2)+`"]`), a).fault(22002, "lists[0]", id(2))
	as("POST", "/1/faces", face(9, data, `,"lists":["`+id(3)+`"]`), a).fault(22002, "lists[0]", id(3))
	as("PUT", "/1/faces/"+id(1), face(1, data, `,"lists":["`+id(2)+`"]`), a).fault(22002, "lists[0]", id(2))
	as("PATCH", "/1/faces/"+id(1), `{"lists":["`+id(2)+`"]}`, a).fault(22002, "lists[0]", id(2))

	// Faces without an account can be in lists of any account, but the account does not see them.
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(1)+`","face_ids":["`+id(3)+`"]}`).status(204)
	x.call("GET", "/1/lists/"+id(1), "").status(200).part("face_count", "2")
	as("GET", "/1/lists/"+id(1), "", a).status(200).part("face_count", "1")
	as("GET", "/1/lists", "", a).status(200).part("lists.0.face_count", "1")

	// Importing: a line of another account is rejected, the other lines are stored.
	as("POST", "/1/import", face(2, data)+"\n"+face(10, data, `,"account_id":"`+b+`"`)+"\n"+face(11, data)+"\n", a).status(200).
		part("accepted", "1").part("rejected", "2").part("errors.0.line", "1").part("errors.1.line", "2")
	x.call("GET", "/1/faces/"+id(11), "").status(200).part("account_id", `"`+a+`"`)
	x.call("GET", "/1/faces/"+id(10), "").fault(22004)
	as("POST", "/1/import?list_id="+id(2), face(12, data)+"\n", a).status(200).part("rejected", "1")

	// The account in the query and in the header.
	x.call("GET", "/1/faces?account_id="+a, "", "Luna-Account-Id", strings.ToUpper(a)).status(200).part("count", "2")
	x.call("GET", "/1/faces?account_id="+a, "", "Luna-Account-Id", b).fault(31000, "Luna-Account-Id", a, b)
	x.call("GET", "/1/faces", "", "Luna-Account-Id", "x").fault(12022, "Luna-Account-Id", "x")
	x.call("GET", "/1/faces", "", "Luna-Account-Id", "").fault(12022, "Luna-Account-Id")
	x.call("GET", "/1/faces?account_id=x", "").fault(12022, "account_id", "x")
	x.call("GET", "/1/faces?account_id=", "").fault(12022, "account_id")
	x.call("GET", "/1/faces?account_id="+a+"&account_id="+b, "").fault(12022, "account_id", "must be given once")
}

// TestFaceInListWithoutAccount checks a face of an account in a list that has no
// account. The account sees the list in the face, and it can write the face again in
// each way. It cannot put other faces into the list.
func TestFaceInListWithoutAccount(t *testing.T) {
	x := start(t)
	const a, b = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
	lists := `,"lists":["` + id(9) + `"]`
	whole := face(1, descriptor(v4, 1, 2, 3, 4), `,"account_id":"`+a+`"`, lists)
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	x.call("POST", "/1/faces", whole).status(201)
	x.call("POST", "/1/faces?account_id="+a, face(2, descriptor(v4, 1, 2, 3, 4))).status(201)
	shown := func() {
		t.Helper()
		x.call("GET", "/1/faces/"+id(1)+"?account_id="+a, "").status(200).part("lists", `["`+id(9)+`"]`)
	}
	shown()
	x.call("POST", "/1/import?account_id="+a, string(x.call("GET", "/1/export?face_ids="+id(1), "").status(200).body)).status(200).part("accepted", "1")
	shown()
	x.call("POST", "/1/import?account_id="+a, face(1, descriptor(v4, 1, 2, 3, 4))).status(200).part("accepted", "1") // the face keeps its lists
	shown()
	x.call("PUT", "/1/faces/"+id(1)+"?account_id="+a, whole).status(200)
	shown()
	x.call("PATCH", "/1/faces/"+id(1)+"?account_id="+a, "{"+lists[1:]+"}").status(200)
	shown()
	x.call("PUT", "/1/faces/"+id(2)+"?account_id="+a, face(2, descriptor(v4, 1, 2, 3, 4), lists)).fault(22002, "lists[0]", id(9))
	x.call("POST", "/1/import?account_id="+a, face(2, descriptor(v4, 1, 2, 3, 4), lists)).status(200).part("rejected", "1").part("errors.0.detail", `"lists[0]: `+id(9)+` does not exist"`)
	x.call("POST", "/1/import?account_id="+a+"&list_id="+id(9), face(2, descriptor(v4, 1, 2, 3, 4))).status(200).part("rejected", "1")

	// A request without an account can move a face to another account, but not with lists of the old one.
	x.call("POST", "/1/lists", `{"list_id":"`+id(8)+`","account_id":"`+a+`"}`).status(201)
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(8)+`","face_ids":["`+id(2)+`"]}`).status(204)
	moved := face(2, descriptor(v4, 1, 2, 3, 4), `,"account_id":"`+b+`"`)
	x.call("POST", "/1/import", moved).status(200).part("errors.0.detail", `"list_id: `+id(8)+` belongs to another account than the face"`)

	// PUT and PATCH cannot change the account. PUT without an account keeps it.
	x.call("PUT", "/1/faces/"+id(2), moved).fault(12022, "account_id", b)
	x.call("PATCH", "/1/faces/"+id(2), `{"account_id":"`+b+`"}`).fault(12022, "account_id", a, b)
	x.call("PUT", "/1/faces/"+id(2), face(2, descriptor(v4, 1, 2, 3, 4))).status(200)
	x.call("GET", "/1/faces/"+id(2), "").status(200).part("account_id", `"`+a+`"`)
	x.call("GET", "/1/lists/"+id(8), "").status(200).part("face_count", "0")

	// Each way of writing refuses a list of another account, even if the caller can
	// see the list.
	other := `,"account_id":"` + b + `","lists":["` + id(7) + `","` + id(8) + `"]`
	x.call("POST", "/1/lists", `{"list_id":"`+id(7)+`"}`).status(201)
	x.call("POST", "/1/faces", face(3, descriptor(v4, 1, 2, 3, 4), other)).fault(12026, "lists[1]", id(8))
	x.call("PUT", "/1/faces/"+id(3), face(3, descriptor(v4, 1, 2, 3, 4), other)).fault(12026, "lists[1]", id(8))
	x.call("POST", "/1/import", face(3, descriptor(v4, 1, 2, 3, 4), other)).status(200).part("rejected", "1").part("errors.0.detail", `"lists[1]: `+id(8)+` belongs to another account than the face"`)
	x.call("POST", "/1/faces", face(3, descriptor(v4, 1, 2, 3, 4), `,"account_id":"`+b+`"`)).status(201)
	x.call("PATCH", "/1/faces/"+id(3), `{"lists":["`+id(7)+`","`+id(8)+`"]}`).fault(12026, "lists[1]", id(8))
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(8)+`","face_ids":["`+id(2)+`","`+id(3)+`"]}`).fault(12026, "face_ids[1]", id(3))
}

// TestAccountsOfEvents is TestAccounts for events and attributes.
func TestAccountsOfEvents(t *testing.T) {
	for _, place := range []string{"account_id", "key"} {
		t.Run(place, func(t *testing.T) { checkAccountsOfEvents(t, place) })
	}
}

func checkAccountsOfEvents(t *testing.T, place string) {
	const a, b = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"
	r, conflict, conflicting := accountKeys(place, a, b)
	x := startWithKeys(t, r)
	as := func(method, path, body, account string) *answer {
		t.Helper()
		if place == "key" {
			return x.call(method, path, body, "Authorization", "Bearer "+r.secrets[account])
		}
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		return x.call(method, path+separator+"account_id="+account, body)
	}
	attribute := `{"descriptor":` + descriptor(v4, 1, 0, 0, 0) + `}`
	as("POST", "/1/events", event(1, `,"external_id":"x","track_id":"t"`), a).status(201) // set by the server
	as("POST", "/1/events", `[`+event(2, `,"external_id":"x","track_id":"t","account_id":"`+b+`"`)+`]`, b).status(201)
	x.call("POST", "/1/events", event(3, `,"external_id":"x","track_id":"t"`)).status(201) // without an account
	as("PUT", "/1/attributes/"+id(1), attribute, a).status(201)
	as("PUT", "/1/attributes/"+id(2), attribute, b).status(201)
	x.call("PUT", "/1/attributes/"+id(3), attribute).status(201)

	// Reading.
	x.call("GET", "/1/events/"+id(1), "").status(200).part("account_id", `"`+a+`"`)
	x.call("GET", "/1/attributes/"+id(1), "").status(200).part("account_id", `"`+a+`"`)
	for _, n := range []int{2, 3} {
		as("GET", "/1/events/"+id(n), "", a).fault(22007, id(n))
		as("DELETE", "/1/events/"+id(n), "", a).fault(22007, id(n))
		as("GET", "/1/attributes/"+id(n), "", a).fault(22005, id(n))
		as("DELETE", "/1/attributes/"+id(n), "", a).fault(22005, id(n))
		as("PUT", "/1/attributes/"+id(n), attribute, a).fault(12026, "attribute_id", id(n))
	}
	as("GET", "/1/events", "", a).status(200).part("count", "1").part("events.0.event_id", `"`+id(1)+`"`)
	lines := string(as("GET", "/1/export?origin=events", "", a).status(200).body)
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, id(1)) {
		t.Errorf("export: %s", lines)
	}

	// Matching: candidates, references and keys.
	match := func(reference, origin, filter string) *answer {
		t.Helper()
		return as("POST", "/1/matcher/faces?explain=1", matchBody(reference, `{"filters":{"origin":"`+origin+`"`+filter+`},"targets":[]}`), a)
	}
	match(givenDescriptor(descriptor(v4, 1, 0, 0, 0)), "events", "").status(201).part("0.matches.0.result", `[{"event":{"event_id":"`+id(1)+`"}}]`).part("0.matches.0.plan.rows_selected", "1")
	match(givenDescriptor(descriptor(v4, 1, 0, 0, 0)), "attributes", "").status(201).part("0.matches.0.result", `[{"attribute":{"attribute_id":"`+id(1)+`"}}]`)
	match(givenDescriptor(descriptor(v4, 1, 0, 0, 0)), "events", `,"event_ids":["`+id(2)+`","`+id(3)+`"]`).status(201).part("0.matches.0.result", `[]`)
	match(givenDescriptor(descriptor(v4, 1, 0, 0, 0)), "attributes", `,"account_id":"`+b+`"`).fault(conflict, append(conflicting, "candidates[0].filters.account_id")...)
	match(`{"type":"event","id":"`+id(2)+`"}`, "events", "").fault(22007, "references[0]", id(2))
	match(`{"type":"attribute","id":"`+id(3)+`"}`, "events", "").fault(22005, "references[0]", id(3))
	for kind, key := range map[string]string{"event_external_id": "x", "event_track_id": "t"} {
		found := match(`{"type":"`+kind+`","id":"`+key+`"}`, "events", "").status(201).part("0.reference.object_id", `"`+id(1)+`"`)
		if len(found.value().([]any)) != 1 {
			t.Errorf("%s: %s", kind, found.body)
		}
	}

	// Writing.
	as("POST", "/1/events", event(9, `,"account_id":"`+b+`"`), a).fault(conflict, append(conflicting, "account_id")...)
	as("POST", "/1/events", `[`+event(8)+`,`+event(9, `,"account_id":"`+b+`"`)+`]`, a).fault(conflict, append(conflicting, "body[1].account_id")...)
	as("PUT", "/1/attributes/"+id(9), `{"account_id":"`+b+`","descriptor":`+descriptor(v4, 1, 0, 0, 0)+`}`, a).fault(conflict, append(conflicting, "account_id")...)
	as("DELETE", "/1/events?track_ids=t", "", id(7)).status(200).json(`{"deleted":0}`)
	as("POST", "/1/import?origin=events", event(2)+"\n"+event(10, `,"account_id":"`+b+`"`)+"\n"+event(11)+"\n", a).status(200).
		part("accepted", "1").part("rejected", "2").part("errors.0.line", "1").part("errors.1.line", "2")
	x.call("GET", "/1/events/"+id(11), "").status(200).part("account_id", `"`+a+`"`)
	as("DELETE", "/1/events?track_ids=t", "", a).status(200).json(`{"deleted":1}`)
	x.call("GET", "/1/events", "").status(200).part("count", "3")
}
