package server_test

import "testing"

func TestLists(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`","user_data":"staff"}`).status(201).json(`{"list_id":"` + id(1) + `"}`)
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`).fault(22001, "list_id", id(1))
	made := x.call("POST", "/1/lists", `{"list_id":null,"account_id":null,"user_data":null}`).status(201).at("list_id").(string)
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), `,"lists":["`+id(1)+`"]`)).status(201)

	one := x.call("GET", "/1/lists/"+id(1), "").status(200).part("user_data", `"staff"`).part("face_count", "1")
	if got := one.value().(map[string]any); len(got) != 4 || got["list_id"] != id(1) || got["create_time"] == nil {
		t.Errorf("%v", got)
	}
	x.call("GET", "/1/lists", "").status(200).part("count", "2").part("lists.0.list_id", `"`+id(1)+`"`).part("lists.0.face_count", "1").part("lists.1.face_count", "0")
	x.call("GET", "/1/lists?page=2&page_size=1", "").status(200).part("count", "2").part("lists.0.list_id", `"`+made+`"`)
	x.call("GET", "/1/lists?page=3&page_size=1", "").status(200).json(`{"count":2,"lists":[]}`)

	x.call("PATCH", "/1/lists/"+id(1), `{"user_data":"guests"}`).status(200).json(`{"list_id":"` + id(1) + `"}`)
	x.call("GET", "/1/lists/"+id(1), "").status(200).part("user_data", `"guests"`).part("face_count", "1")
	x.call("PATCH", "/1/lists/"+id(1), `{"list_id":"`+id(1)+`","user_data":null}`).status(200)
	x.call("GET", "/1/lists/"+id(1), "").status(200).part("user_data", "null") // absent
	x.call("PATCH", "/1/lists/"+id(1), `{"list_id":"`+id(2)+`"}`).fault(12022, "list_id", id(2))
	x.call("PATCH", "/1/lists/"+id(1), `{"account_id":"`+id(2)+`"}`).fault(12022, "account_id", id(2))
	x.call("PATCH", "/1/lists/"+id(2), `{}`).fault(22002, id(2))

	// A deleted list keeps its faces, and is empty when it is created again.
	x.call("DELETE", "/1/lists/"+id(1), "").status(204)
	x.call("DELETE", "/1/lists/"+id(1), "").fault(22002, id(1))
	x.call("GET", "/1/lists/"+id(1), "").fault(22002, id(1))
	x.call("GET", "/1/lists/mine", "").fault(22002, "mine")
	x.call("GET", "/1/faces/"+id(1), "").status(200).part("lists", "[]")
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`).status(201)
	x.call("GET", "/1/lists/"+id(1), "").status(200).part("face_count", "0")
}

// TestListTime checks that a list of another server keeps its time.
func TestListTime(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`","create_time":"2020-02-29t23:00:00.1239-01:00"}`).status(201)
	x.call("GET", "/1/lists/"+id(1), "").status(200).part("create_time", `"2020-03-01T00:00:00.123Z"`)
	x.call("POST", "/1/lists", `{"list_id":"`+id(2)+`","create_time":"1970-01-01T00:00:00Z"}`).status(201)
	x.call("GET", "/1/lists/"+id(2), "").status(200).part("create_time", `"1970-01-01T00:00:00.000Z"`)
	x.call("POST", "/1/lists", `{"create_time":7}`).fault(12022, "create_time", "RFC 3339", "7")
	x.call("POST", "/1/lists", `{"create_time":"yesterday"}`).fault(12022, "create_time", "RFC 3339", "yesterday")
	x.call("PATCH", "/1/lists/"+id(1), `{"create_time":"2020-03-01T00:00:00Z"}`).fault(12022, "create_time", "unknown field")
}

func TestListDeleteWithFaces(t *testing.T) {
	x := start(t)
	for n := 1; n <= 2; n++ {
		x.call("POST", "/1/lists", `{"list_id":"`+id(n)+`"}`).status(201)
	}
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), `,"lists":["`+id(1)+`"]`)).status(201)
	x.call("POST", "/1/faces", face(2, descriptor(v4, 1, 2, 3, 4), `,"lists":["`+id(1)+`","`+id(2)+`"]`)).status(201)
	x.call("POST", "/1/faces", face(3, descriptor(v4, 1, 2, 3, 4), `,"lists":["`+id(2)+`"]`)).status(201)
	x.call("DELETE", "/1/lists/"+id(1)+"?with_faces=2", "").fault(12022, "with_faces", "2")
	x.call("DELETE", "/1/lists/"+id(2)+"?with_faces=0", "").status(204)
	x.call("GET", "/1/faces", "").status(200).part("count", "3")
	x.call("DELETE", "/1/lists/"+id(1)+"?with_faces=1", "").status(204)
	x.call("GET", "/1/faces", "").status(200).part("count", "1").part("faces.0.face_id", `"`+id(3)+`"`)
}

func TestLinker(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	for n := 1; n <= 3; n++ {
		x.call("POST", "/1/faces", face(n, descriptor(v4, 1, 2, 3, 4))).status(201)
	}
	link := func(action string, list int, faces string) *answer {
		t.Helper()
		return x.call("PATCH", "/1/linker", `{"action":"`+action+`","list_id":"`+id(list)+`","face_ids":[`+faces+`]}`)
	}
	count := func(want string) {
		t.Helper()
		x.call("GET", "/1/lists/"+id(9), "").status(200).part("face_count", want)
		x.call("GET", "/1/faces?list_id="+id(9), "").status(200).part("count", want)
	}
	link("attach", 9, `"`+id(1)+`","`+id(2)+`"`).status(204)
	count("2")
	link("attach", 9, `"`+id(1)+`","`+id(1)+`","`+id(3)+`"`).status(204) // face 1 is given twice and is already in the list
	count("3")
	x.call("GET", "/1/faces/"+id(1), "").status(200).part("lists", `["`+id(9)+`"]`)
	link("detach", 9, `"`+id(1)+`"`).status(204)
	link("detach", 9, `"`+id(1)+`"`).status(204)
	count("2")

	// Unknown IDs: nothing changes.
	link("detach", 9, `"`+id(2)+`","`+id(77)+`"`).fault(22004, "face_ids[1]", id(77))
	link("attach", 9, `"`+id(1)+`","`+id(77)+`"`).fault(22004, "face_ids[1]", id(77))
	link("attach", 8, `"`+id(1)+`"`).fault(22002, "list_id", id(8))
	count("2")
	link("move", 9, `"`+id(1)+`"`).fault(12022, "action", "move")
	link("attach", 9, ``).fault(12022, "face_ids")
	link("attach", 9, `"x"`).fault(12022, "face_ids[0]", "x")
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(9)+`"}`).fault(12022, "face_ids")
	x.call("PATCH", "/1/linker", `{"list_id":"`+id(9)+`","face_ids":["`+id(1)+`"]}`).fault(12022, "action")
	x.call("PATCH", "/1/linker", `{"action":"attach","face_ids":["`+id(1)+`"]}`).fault(12022, "list_id")
}
