package server_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestTruncatedBodies cuts bodies at every byte, as whole bodies and as broken
// connections.
func TestTruncatedBodies(t *testing.T) {
	x := start(t)
	x.line(1)
	cut := func(path, body, media string) {
		t.Helper()
		for n := range len(body) {
			x.call("POST", path, body[:n], "Content-Type", media).fault(12001)
			x.call("POST", path, body[:n]+"\xff"+body[n:], "Content-Type", media) // whatever that is
		}
	}
	match := ask(stored(1)+","+given(of(v4, 1, 2, 3, 4)), all(`,"threshold":0.5,"targets":["age"]`))
	cut("/1/matcher/faces", match, "application/json")
	cut("/1/matcher/faces", packed(t, match), "application/msgpack")
	request := "POST /1/faces HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(full)) + "\r\n\r\n" + full
	for n := 1; n < len(request); n++ {
		c := x.dial().write(request[:n]).half()
		c.answer("cut").fault(12001)
		c.ended()
	}
	x.faces(1)
}

// TestBombs: bodies that are made to cost more than they should.
func TestBombs(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 64 << 20 })
	x.line(1)
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

	// 64 MiB of junk.
	const size = 64 << 20
	random := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	refused("/1/faces", string(random), "", 12001)
	refused("/1/faces", strings.Repeat("[0],", size/4), "", 12001)
	refused("/1/faces", "["+strings.Repeat("0,", size/2-1)+"0", "", 31007, "values")
	refused("/1/faces", `{"user_data":"`+strings.Repeat("x", size-20), "", 12001)
	refused("/1/faces", `{"`+strings.Repeat("x", size-20)+`":1}`, "", 12022, "xxx...")

	// A million ids.
	ids := strings.Repeat(`"`+id(1)+`",`, 999_999) + `"` + id(1) + `"`
	refused("/1/matcher/faces", ask(stored(1), `{"filters":{"origin":"faces","face_ids":[`+ids+`]}}`), "", 31007, "candidates[0].filters.face_ids", "1000000", "100000")
	refused("/1/faces", `{"lists":[`+ids+`],"descriptor":`+of(v4, 1, 2, 3, 4)+`}`, "", 31007, "lists", "1000000")
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(1)+`","face_ids":[`+ids+`]}`).fault(31007, "face_ids", "1000000")
	hundred := ids[:39*100_000-1]
	x.call("POST", "/1/matcher/faces", ask(stored(1), `{"filters":{"origin":"faces","face_ids":[`+hundred+`]},"targets":[]}`)).status(201).
		part("0.matches.0.result", `[{"face":{"face_id":"`+id(1)+`"}}]`)
	x.faces(1)
}

// TestAmplified: small requests for answers that would be very large.
func TestAmplified(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 64 << 20 })
	x.line(1)
	many := stored(1) + strings.Repeat(","+stored(1), 99)
	wide := func(n int) string { return all(`,"limit":1000`) + strings.Repeat(","+all(`,"limit":1000`), n-1) }
	x.call("POST", "/1/matcher/faces", ask(many, wide(20))).status(201)
	x.call("POST", "/1/matcher/faces", ask(many, wide(19)+`,{"filters":{"origin":"faces"},"label":"`+strings.Repeat("x", 4<<20)+`"}`)).
		fault(31007, "candidates", "repeated", "100 references")
	x.call("POST", "/1/matcher/faces", ask(stored(1), all(`,"label":"`+strings.Repeat("x", 4<<20)+`"`))).status(201)
	probe := given(of(v4, 1, 2, 3, 4))
	long := strings.Replace(probe, "probe", strings.Repeat("x", 4<<20), 1)
	x.call("POST", "/1/matcher/raw", ask(probe+strings.Repeat(","+probe, 99), long)).fault(31007, "candidates", "repeated", "100 references")
	x.call("POST", "/1/matcher/raw", ask(long, probe)).status(201)
}

// TestLies: what a request says about its size reserves no memory.
func TestLies(t *testing.T) {
	x := start(t, func(s *settings) { s.body = 1 << 40 })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, request := range []string{
		"POST /1/faces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
		"POST /1/faces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{",
		"POST /1/faces HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n{",
		"POST /1/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
		"POST /1/import HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n{",
		"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n{",
	} {
		c := x.dial().write(request).half()
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

// TestUnreadBody: an answer that does not wait for the body arrives, though
// the client is still sending.
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

// TestStrings: every text comes back as it went in.
func TestStrings(t *testing.T) {
	x := start(t)
	for n, text := range []string{"\x00", "\u0001\u001f", `"\/`, "\u2028\u2029", "é", "😀", "\ufffd", "<script>&amp;", strings.Repeat("x", 10_000)} {
		x.call("PUT", "/1/faces/"+id(n), `{"user_data":`+jsonOf(text)+`,"descriptor":`+of(v4, 1, 2, 3, 4)+`}`).status(201)
		x.call("GET", "/1/faces/"+id(n), "").status(200).part("user_data", jsonOf(text))
		for _, out := range []string{"application/json", "application/msgpack"} {
			x.call("POST", "/1/matcher/faces", ask(`{"type":"raw_descriptor","id":`+jsonOf(text)+`,"data":`+of(v4, 1, 2, 3, 4)+`}`, all(`,"label":`+jsonOf(text))), "Accept", out).
				status(201).part("0.reference.id", jsonOf(text)).part("0.matches.0.label", jsonOf(text))
		}
	}
	// Paths and queries of any bytes are answered in UTF-8.
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
