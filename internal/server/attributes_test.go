package server_test

import (
	"testing"
	"time"

	"nearside/matcher"
)

func TestAttributes(t *testing.T) {
	x := start(t)
	path, d := "/1/attributes/"+id(1), of(v4, 1, 0, 0, 0)
	x.call("PUT", path, `{"age":3,"gender":1,"create_time":"2026-05-01T00:00:00Z","descriptor":`+d+`}`).status(201).json(`{"attribute_id":"` + id(1) + `"}`)
	want := `{"attribute_id":"` + id(1) + `","create_time":"2026-05-01T00:00:00.000Z","age":3,"gender":1`
	x.call("GET", path, "").status(200).json(want + `}`)
	x.call("GET", path+"?descriptor=1", "").status(200).json(want + `,"descriptor":` + d + `}`)
	x.call("POST", "/1/matcher/faces", ask(given(of(v4, 0, 0, 0, 0)), `{"filters":{"origin":"attributes","attribute_ids":["`+id(1)+`"],"age__lt":4}}`)).status(201).
		part("0.matches.0.result.0.attribute", want+`}`)
	x.call("PUT", path+"?ttl=1000", `{"attribute_id":"`+id(1)+`","descriptor":`+of(vBody, 1, 2, 3, 4)+`}`).status(200)
	x.call("GET", path+"?descriptor=1", "").status(200).part("descriptor", of(vBody, 1, 2, 3, 4))

	x.call("PUT", path, `{"attribute_id":"`+id(2)+`","descriptor":`+d+`}`).fault(12022, "attribute_id", id(2), id(1))
	x.call("PUT", path, `{}`).fault(12022, "descriptor", "required")
	x.call("PUT", path, `{"external_id":"x","descriptor":`+d+`}`).fault(12022, "external_id", "unknown field")
	x.call("PUT", "/1/attributes/x", `{"descriptor":`+d+`}`).fault(12022, `"x"`)
	for _, ttl := range []string{"0", "-1", "x", "", "1.5", "9999999999"} {
		x.call("PUT", path+"?ttl="+ttl, `{"descriptor":`+d+`}`).fault(12022, "ttl", ttl)
	}
	x.call("GET", "/1/attributes", "").fault(12010, "/1/attributes")
	x.call("POST", path, "").fault(12011, "POST").header("Allow", "PUT, GET, HEAD, DELETE")
	x.call("GET", "/1/attributes/"+id(2), "").fault(22005, id(2))
	x.call("DELETE", path, "").status(204)
	x.call("DELETE", path, "").fault(22005, id(1))
	x.call("GET", path, "").fault(22005, id(1))
}

// TestAttributeExpires: from its time on it is nowhere, though nobody has
// deleted it.
func TestAttributeExpires(t *testing.T) {
	x := start(t)
	body := func(n byte) string { return `{"descriptor":` + of(v4, n, 0, 0, 0) + `}` }
	x.call("PUT", "/1/attributes/"+id(1)+"?ttl=1", body(1)).status(201)
	began := time.Now()
	x.call("PUT", "/1/attributes/"+id(2), body(2)).status(201) // five minutes
	there := func() int {
		rows := x.call("POST", "/1/matcher/faces", ask(given(of(v4, 0, 0, 0, 0)), `{"filters":{"origin":"attributes"}}`)).status(201).at("0.matches.0.result").([]any)
		return len(rows)
	}
	if n := there(); n != 2 && time.Since(began) < time.Second/2 {
		t.Errorf("%d attributes before the time is over", n)
	}
	for there() > 1 {
		if time.Since(began) > 20*time.Second {
			t.Fatal("it did not expire")
		}
	}
	x.call("GET", "/1/attributes/"+id(1), "").fault(22005, id(1))
	x.call("DELETE", "/1/attributes/"+id(1), "").fault(22005, id(1))
	x.call("POST", "/1/matcher/faces", ask(`{"type":"attribute","id":"`+id(1)+`"}`, all())).fault(22005, "references[0].id", id(1))
	x.call("POST", "/1/matcher/faces", ask(`{"type":"attribute","id":"`+id(2)+`"}`, all())).status(201)
	if x.memory.Stats().Rows[matcher.Attributes] != 2 {
		t.Error("somebody deleted it: nothing was tested")
	}
	x.call("PUT", "/1/attributes/"+id(1), body(1)).status(201) // a new one
}
