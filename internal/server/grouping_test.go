package server_test

import (
	"fmt"
	"strings"
	"testing"
)

// personRow is a row of a grouped answer.
func personRow(n int, group string) string {
	if group != "" {
		group = `,"group":"` + group + `"`
	}
	return `{"face":{"face_id":"` + id(n) + `"}` + group + `}`
}

// storePersons stores faces 1 to 8, at the distances 1, 4, 9, ... to zero. Faces 1, 3 and 6
// are of person a, 2 and 5 of b, 7 of c, and 4 and 8 of none.
func (x *service) storePersons() {
	x.Helper()
	for i, person := range []string{"a", "b", "a", "", "b", "a", "c", ""} {
		external := ""
		if person != "" {
			external = `,"external_id":"` + person + `"`
		}
		x.call("POST", "/1/faces", fmt.Sprintf(`{"face_id":"%s","descriptor":%s%s}`, id(i+1), descriptor(v4, byte(i+1), 0, 0, 0), external)).status(201)
	}
}

func TestMatchGroups(t *testing.T) {
	x := start(t)
	x.storePersons()
	rows := func(more string, want ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(`,"targets":[]`, more))).status(201).
			part("0.matches.0.result", `[`+strings.Join(want, ",")+`]`)
	}
	a, b, c, four, eight := personRow(1, "a"), personRow(2, "b"), personRow(7, "c"), personRow(4, ""), personRow(8, "")
	rows(`,"group":{"by":"external_id"}`, a, b, four, c, eight)
	rows(`,"group":{"by":"external_id"},"limit":2`, a, b)
	rows(`,"group":{"by":"external_id"},"limit":2,"offset":2`, four, c)
	rows(`,"group":{"by":"external_id"},"offset":5`)
	rows(`,"group":{"by":"external_id","size":2},"limit":3`, a, personRow(3, "a"), b, personRow(5, "b"), four)
	rows(`,"group":{"by":"external_id","size":10},"limit":1,"offset":1`, b, personRow(5, "b"))
	rows(`,"group":{"by":"external_id","size":3},"limit":1,"threshold":`+number(similarity(v4, 9)), a, personRow(3, "a"))
	rows(`,"limit":2,"offset":6`, personRow(7, ""), eight)
	rows(`,"limit":2,"offset":8`)
}

func TestMatchCount(t *testing.T) {
	x := start(t)
	x.storePersons()
	count := func(reference, more, want string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(reference, allFaces(`,"count":true`, more))).status(201).part("0.matches.0.count", want)
	}
	zero := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	count(zero, ``, "8")
	count(zero, `,"limit":1,"offset":100`, "8")
	count(zero, `,"group":{"by":"external_id"}`, "5")
	count(zero, `,"threshold":`+number(similarity(v4, 16)), "4")
	count(zero, `,"threshold":`+number(similarity(v4, 16))+`,"group":{"by":"external_id"}`, "3")
	count(storedFace(7), `,"exclude_self":true`, "7")
	count(storedFace(7), `,"exclude_self":true,"group":{"by":"external_id"}`, "4")
	count(storedFace(1), `,"exclude_self":true,"threshold":1`, "0")
	count(`{"type":"face_external_id","id":"nobody"}`, ``, "0")
	if _, ok := x.call("POST", "/1/matcher/faces", matchBody(zero, allFaces(`,"count":false`))).status(201).at("0.matches.0").(map[string]any)["count"]; ok {
		t.Error("the answer has a count that was not asked for")
	}
}

func TestMatchExcludeSelf(t *testing.T) {
	x := start(t)
	x.storePersons()
	first := func(reference string, want int) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(reference, allFaces(`,"targets":[],"limit":1,"exclude_self":true`))).status(201).
			part("0.matches.0.result", `[`+personRow(want, "")+`]`)
	}
	data := descriptor(v4, 1, 0, 0, 0)
	object := func(kind string, n int) string {
		return `{"type":"raw_descriptor","id":"` + id(n) + `","data":` + data + `,"object":{"type":"` + kind + `","id":"` + id(n) + `"}}`
	}
	first(storedFace(1), 2)
	first(`{"type":"face_external_id","id":"c"}`, 6) // at the same distance as face 8
	first(givenDescriptor(data), 1)
	first(object("face", 1), 2)
	first(object("event", 1), 1) // another object with the same id
	first(object("face", 5), 1)
}

// TestMatchSteps checks that the plan describes the fields.
func TestMatchSteps(t *testing.T) {
	x := start(t)
	x.storePersons()
	a := x.call("POST", "/1/matcher/faces?explain=1", matchBody(storedFace(1), allFaces(
		`,"group":{"by":"external_id","size":2},"limit":2,"offset":1,"count":true,"exclude_self":true,"threshold":0.1`)+","+allFaces())).status(201)
	steps := fmt.Sprint(a.at("0.matches.0.plan.steps"))
	for _, want := range []string{"exclude_self: leaves out face " + id(1), "group: found the first 3 groups by external_id; a second scan compared 3 rows", "offset: skipped the first 1 group", "count: "} {
		if !strings.Contains(steps, want) {
			t.Errorf("%s\nhas no %q", steps, want)
		}
	}
	if _, ok := a.at("0.matches.1.plan").(map[string]any)["steps"]; ok {
		t.Error("a plain set has steps")
	}
}

// TestOffsetLimits checks that offsets count as rows of the answer.
func TestOffsetLimits(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	zero := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	x.call("POST", "/1/matcher/faces", matchBody(zero, allFaces(`,"offset":100000`))).status(201).part("0.matches.0.result", `[]`)
	x.call("POST", "/1/matcher/faces", matchBody(zero, allFaces(`,"offset":100001`))).fault(12022, "candidates[0].offset", "100001")
	many := strings.Repeat(zero+",", 20) + zero
	x.call("POST", "/1/matcher/faces", matchBody(many, allFaces(`,"offset":100000`))).fault(31007, "offsets")
	x.call("POST", "/1/matcher/faces", matchBody(zero, allFaces(`,"group":{"by":"source"}`))).fault(12022, "candidates[0].group.by", "external_id, user_data", "source")
}
