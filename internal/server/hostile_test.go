package server_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"nearside/internal/oracle"
	"nearside/internal/testkit"
)

// TestTruncatedBodies cuts bodies at every byte, as complete requests and as broken
// connections.
func TestTruncatedBodies(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	cut := func(path, body, media string) {
		t.Helper()
		for n := range len(body) {
			x.call("POST", path, body[:n], "Content-Type", media).fault(12001)
			x.call("POST", path, body[:n]+"\xff"+body[n:], "Content-Type", media) // any status is allowed
		}
	}
	match := matchBody(storedFace(1)+","+givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces(`,"threshold":0.5,"targets":["age"]`))
	cut("/1/matcher/faces", match, "application/json")
	cut("/1/matcher/faces", packed(t, match), "application/msgpack")
	request := "POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(full)) + "\r\n\r\n" + full
	for n := 1; n < len(request); n++ {
		c := x.dial().write(request[:n]).closeWrite()
		c.answer("cut").fault(12001)
		c.ended()
	}
	x.faces(1)
}

// TestExpensiveBodies sends bodies that could cost much memory or time, and checks that
// they are refused with the right error. It does not measure their cost.
func TestExpensiveBodies(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 64 << 20 })
	x.storeFaces(1)
	const msgpack = "application/msgpack"
	refused := func(path, body, media string, code int, details ...string) {
		t.Helper()
		x.call("POST", path, body, "Content-Type", media).fault(code, details...)
	}
	for _, path := range []string{"/1/matcher/faces", "/1/faces", "/1/lists", "/1/matcher/raw"} {
		for _, bomb := range []string{"[", `{"a":`, `[{"references":`} {
			refused(path, strings.Repeat(bomb, 1_000_000), "", 12001, "32")
		}
		refused(path, strings.Repeat("\x91", 1_000_000), msgpack, 12001, "32")
		refused(path, strings.Repeat("\x81\xa1a", 1_000_000), msgpack, 12001, "32")
		for _, bomb := range []string{
			"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\x81\xdb\xff\xff\xff\xff",
			"\xdc\xff\xff", "\xde\xff\xff", "\xda\xff\xff", "\xd9\xff", "\x81\xa1a\xdd\xff\xff\xff\xff",
		} {
			refused(path, bomb, msgpack, 12001)
		}
		refused(path, "\xc7\x01\x05\x00", msgpack, 12022, "extension")
	}

	// Bodies of the largest size with random or useless content.
	size := 64 << 20
	if testkit.RaceEnabled {
		size = 8 << 20
	}
	random := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	refused("/1/faces", string(random), "", 12001)
	refused("/1/faces", strings.Repeat("[0],", size/4), "", 12001)
	refused("/1/faces", "["+strings.Repeat("0,", size/2-1)+"0", "", 31007, "values")
	refused("/1/faces", `{"user_data":"`+strings.Repeat("x", size-20), "", 12001)
	refused("/1/faces", `{"`+strings.Repeat("x", size-20)+`":1}`, "", 12022, "xxx...")

	// A million ids.
	ids := strings.Repeat(`"`+id(1)+`",`, 999_999) + `"` + id(1) + `"`
	refused("/1/matcher/faces", matchBody(storedFace(1), `{"filters":{"origin":"faces","face_ids":[`+ids+`]}}`), "", 31007, "candidates[0].filters.face_ids", "1000000", "100000")
	refused("/1/faces", `{"lists":[`+ids+`],"descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`, "", 31007, "lists", "1000000")
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(1)+`","face_ids":[`+ids+`]}`).fault(31007, "face_ids", "1000000")
	hundred := ids[:39*100_000-1]
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), `{"filters":{"origin":"faces","face_ids":[`+hundred+`]},"targets":[]}`)).status(201).
		part("0.matches.0.result", `[{"face":{"face_id":"`+id(1)+`"}}]`)
	x.faces(1)
}

// TestSmallRequestsForLargeAnswers checks that requests are refused if their answer would
// repeat too many bytes of filters, labels or IDs.
func TestSmallRequestsForLargeAnswers(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 64 << 20 })
	x.storeFaces(1)
	many := storedFace(1) + strings.Repeat(","+storedFace(1), 99)
	manySets := func(n int) string {
		return allFaces(`,"limit":1000`) + strings.Repeat(","+allFaces(`,"limit":1000`), n-1)
	}
	x.call("POST", "/1/matcher/faces", matchBody(many, manySets(20))).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(many, manySets(19)+`,{"filters":{"origin":"faces"},"label":"`+strings.Repeat("x", 4<<20)+`"}`)).
		fault(31007, "candidates", "repeated", "100 references")
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces(`,"label":"`+strings.Repeat("x", 4<<20)+`"`))).status(201)
	probe := givenDescriptor(descriptor(v4, 1, 2, 3, 4))
	long := strings.Replace(probe, "probe", strings.Repeat("x", 4<<20), 1)
	x.call("POST", "/1/matcher/raw", matchBody(probe+strings.Repeat(","+probe, 99), long)).fault(31007, "candidates", "repeated", "100 references")
	x.call("POST", "/1/matcher/raw", matchBody(long, probe)).status(201)
}

// TestDeclaredSizes checks that declaring a large size allocates no memory.
func TestDeclaredSizes(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 1 << 40 })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, request := range []string{
		"POST /1/faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
		"POST /1/faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{",
		"POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1099511627776\r\n\r\n{",
		"POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
		"POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9223372036854775807\r\n\r\n{",
		"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
	} {
		c := x.dial().write(request).closeWrite()
		if a := c.answer(request); a.response.StatusCode != http.StatusNotFound {
			a.fault(12001)
		}
		c.ended()
	}
	x.call("POST", "/1/faces", "\xc6\x7f\xff\xff\xff", "Content-Type", "application/msgpack").fault(12001)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// TestUnreadBody checks that an answer arrives although the client is still sending
// the body.
func TestUnreadBody(t *testing.T) {
	x := start(t)
	junk := strings.Repeat("junk", 4<<20)
	for range 3 {
		x.call("POST", "/1/faces", junk).fault(12029)
		x.send("POST", "/1/faces", unsized(junk)).fault(12029)
		x.call("POST", "/nowhere", junk).fault(12010)
		x.send("POST", "/nowhere", unsized(junk)).fault(12010)
		x.send("PUT", "/1/import", unsized(junk)).fault(12011)
		x.call("POST", "/1/faces", junk, "Content-Type", "text/plain").fault(12027)
		x.send("POST", "/1/faces?x=1", unsized(junk)).fault(12022)
	}
}

// TestTextsRoundTrip checks that every text is returned as it was sent.
func TestTextsRoundTrip(t *testing.T) {
	x := start(t)
	for n, text := range []string{"\x00", "\u0001\u001f", `"\/`, "\u2028\u2029", "é", "😀", "\ufffd", "<script>&amp;", strings.Repeat("x", 10_000)} {
		x.call("PUT", "/1/faces/"+id(n), `{"user_data":`+oracle.JSON(text)+`,"descriptor":`+descriptor(v4, 1, 2, 3, 4)+`}`).status(201)
		x.call("GET", "/1/faces/"+id(n), "").status(200).part("user_data", oracle.JSON(text))
		for _, out := range []string{"application/json", "application/msgpack"} {
			x.call("POST", "/1/matcher/faces", matchBody(`{"type":"raw_descriptor","id":`+oracle.JSON(text)+`,"data":`+descriptor(v4, 1, 2, 3, 4)+`}`, allFaces(`,"label":`+oracle.JSON(text))), "Accept", out).
				status(201).part("0.reference.id", oracle.JSON(text)).part("0.matches.0.label", oracle.JSON(text))
		}
	}
	// Paths and queries with any bytes get answers in UTF-8.
	for _, path := range []string{"/%ff", "/1/faces/%ff%00", "/1/faces?%ff=%fe", "/1/faces?user_data=%ff", "/" + strings.Repeat("é", 40), "/1/faces?user_data=%zz"} {
		for _, out := range []string{"application/json", "application/msgpack"} {
			a := x.call("GET", path, "", "Accept", out)
			if a.response.StatusCode >= 500 {
				t.Errorf("%s: %d", path, a.response.StatusCode)
			}
			if out == "application/json" && !bytes.Equal(bytes.ToValidUTF8(a.body, nil), a.body) {
				t.Errorf("%s: %q", path, a.body)
			}
			if detail, ok := a.at("detail").(string); ok && detail != strings.ToValidUTF8(detail, "") {
				t.Errorf("%s: %q", path, detail)
			}
		}
	}
}
