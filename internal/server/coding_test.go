package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/coding"
	"nearside/internal/testkit"
)

// codings are the names of the codings and functions that compress. gzip is that of the
// standard library.
var codings = map[string]func(text string) string{
	"gzip": func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return out.String()
	},
	"zstd": func(text string) string { return string(coding.Append(nil, coding.Zstd, []byte(text))) },
}

// plain returns the content of an answer, which must have the coding.
func (a *answer) plain(c string) string {
	a.Helper()
	a.header("Content-Encoding", c)
	a.header("Vary", "Accept-Encoding")
	return decompressed(a, c, a.body)
}

// isText checks the whole body of an answer.
func (a *answer) isText(want string) *answer {
	a.Helper()
	if string(a.body) != want {
		a.Errorf("%s: %.300q, want %.300q", a.request, a.body, want)
	}
	return a
}

func decompressed(t testing.TB, c string, data []byte) string {
	t.Helper()
	switch c {
	case "gzip":
		return string(testkit.Must(io.ReadAll(testkit.Must(gzip.NewReader(bytes.NewReader(data))))))
	case "zstd":
		r := coding.NewReader(coding.Zstd, bytes.NewReader(data), func(int) error { return nil })
		defer r.Close()
		return string(testkit.Must(io.ReadAll(r)))
	}
	return string(data)
}

// TestCompressedBodies sends the same bodies in each coding, with and without a declared
// length, in JSON and in msgpack.
func TestCompressedBodies(t *testing.T) {
	x := start(t)
	x.storeFaces(3)
	match := matchBody(storedFace(1), allFaces(`,"limit":2`))
	want := string(x.call("POST", "/1/matcher/faces", match).status(201).body)
	for name, compress := range codings {
		small, large := wideFace(11, 10), wideFace(12, 900_000)
		x.send("POST", "/1/matcher/faces", opaque(compress(match)), "Content-Encoding", name).status(201).isText(want)
		x.send("POST", "/1/matcher/faces", unsized(compress(match)), "Content-Encoding", name).status(201).isText(want)
		x.send("POST", "/1/matcher/faces", opaque(compress(packed(t, match))), "Content-Encoding", name, "Content-Type", "application/msgpack").status(201).isText(want)
		for _, body := range []string{small, large, wideFace(13, 60_000), wideFace(14, 70_000)} {
			a := x.send("PUT", "/1/faces/"+body[len(`{"face_id":"`):len(`{"face_id":"`)+36], opaque(compress(body)), "Content-Encoding", name)
			if a.response.StatusCode >= 300 {
				t.Errorf("%s: %d %s", name, a.response.StatusCode, a.body)
			}
		}
		x.call("GET", "/1/faces/"+id(12), "").status(200).part("user_data", `"`+strings.Repeat("x", 900_000)+`"`)
		x.send("PATCH", "/1/faces/"+id(3), opaque(compress(`{"age":7}`)), "Content-Encoding", name).status(200)
		x.call("GET", "/1/faces/"+id(3), "").status(200).part("age", "7")

		// The body and its content have the same limit.
		x.send("POST", "/1/faces", opaque(compress(wideFace(15, 1<<20))), "Content-Encoding", name).fault(12029, "body", "after decompression", "1048576")
		x.send("POST", "/1/faces", opaque(compress(small)+strings.Repeat("x", 1<<20)), "Content-Encoding", name).fault(12029, "body", "1048576")
		x.call("POST", "/1/faces", small, "Content-Encoding", name).fault(12001, "body", name, "damaged")
		x.call("POST", "/1/faces", "", "Content-Encoding", name).fault(12001, "body", name, "ends too early")
		for _, cut := range []int{1, 5, 12, len(compress(small)) / 2, len(compress(small)) - 1} {
			x.send("POST", "/1/faces", opaque(compress(small)[:cut]), "Content-Encoding", name).fault(12001, "body", name, "ends too early")
		}
		x.send("POST", "/1/faces", opaque(compress(small)+"x"), "Content-Encoding", name).fault(12001, "body", name)
	}
	x.send("POST", "/1/matcher/faces", opaque(codings["gzip"](match)), "Content-Encoding", "X-GZip").status(201).isText(want)
	x.call("POST", "/1/matcher/faces", match, "Content-Encoding", "Identity").status(201).isText(want)
	for _, wrong := range []string{"br", "deflate", "gzip, zstd", "gzip, gzip", "identity, br", "gzip;q=1"} {
		x.call("POST", "/1/faces", full, "Content-Encoding", wrong).fault(12027, "Content-Encoding", "gzip, zstd and identity", wrong).header("Accept-Encoding", "gzip, zstd")
	}
	// A window of 16 MiB: the magic number and a header without a size.
	x.call("POST", "/1/faces", "\x28\xb5\x2f\xfd\x00\x70", "Content-Encoding", "zstd").fault(12029, "window", "8388608", "16777216")
	x.faces(3 + 4)
}

// opaque hides the type of a reader of text. Otherwise the body would be compared with the
// document.
func opaque(text string) io.Reader { return bytes.NewReader([]byte(text)) }

// TestCompressedImports imports compressed lines: in one piece, byte by byte, cut and
// damaged.
func TestCompressedImports(t *testing.T) {
	x := start(t)
	var lines strings.Builder
	for n := range 3000 {
		lines.WriteString(face(n, descriptor(v4, byte(n), byte(n>>8), 1, 2)) + "\n")
	}
	lines.WriteString(wideFace(5000, 1_000_000))
	for name, compress := range codings {
		data := compress(lines.String())
		x.send("POST", "/1/import", opaque(data), "Content-Encoding", name).status(200).json(`{"accepted":3001,"rejected":0,"errors":[]}`)
		x.faces(3001)
		x.call("DELETE", "/1/faces?face_id__gte="+id(0), "").status(200).part("deleted", "3001")
		x.send("POST", "/1/import", unsized(data), "Content-Encoding", name).status(200).json(`{"accepted":3001,"rejected":0,"errors":[]}`)
		x.call("DELETE", "/1/faces?face_id__gte="+id(0), "").status(200).part("deleted", "3001")

		few := compress(face(1, descriptor(v4, 1, 2, 3, 4)) + "\nbad\n" + face(2, descriptor(v4, 1, 2, 3, 4)))
		c := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Encoding: " + name + "\r\n\r\n")
		for i := range len(few) {
			c.write("1\r\n" + few[i:i+1] + "\r\n")
		}
		c.write("0\r\n\r\n").answer("byte by byte").status(200).part("accepted", "2").part("rejected", "1")
		c.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("next").status(200)

		x.send("POST", "/1/import", opaque(data[:len(data)-1]), "Content-Encoding", name).fault(12001, "after line", name, "ends too early", "lines were accepted")
		x.send("POST", "/1/import", opaque(data[:len(data)/2]), "Content-Encoding", name).fault(12001, name, "ends too early")
		x.send("POST", "/1/import", opaque(data+"x"), "Content-Encoding", name).fault(12001, name)
		x.call("POST", "/1/import", "", "Content-Encoding", name).fault(12001, name, "ends too early")
		x.call("POST", "/1/import", lines.String(), "Content-Encoding", name).fault(12001, name, "damaged")
		x.call("DELETE", "/1/faces?face_id__gte="+id(0), "").status(200)
	}
}

// TestCompressedAnswers asks for pages, exports and documents in each coding, and compares
// them with the plain ones.
func TestCompressedAnswers(t *testing.T) {
	x := start(t)
	x.storeFaces(200)
	for _, url := range []string{"/1/faces?page_size=200", "/1/faces?page_size=200&descriptor=1", "/1/export", "/docs", "/docs/spec", "/config"} {
		want := x.call("GET", url, "").status(200).header("Content-Encoding", "").header("Vary", "Accept-Encoding")
		for accepted, c := range map[string]string{
			"gzip": "gzip", "zstd": "zstd", "gzip, zstd": "zstd", "GZIP;q=0.5, zstd;q=0.4": "gzip", "gzip;q=0, *": "zstd", "deflate, *;q=0.1": "zstd",
			"br": "", "identity": "", "*;q=0": "", "gzip;q=0": "", "gzip;q=0.5, identity": "", "gzip, identity;q=0.5": "gzip", "gzip; q=1.0, zstd; q=0.2": "gzip",
		} {
			if url == "/config" { // small
				c = ""
			}
			a := x.call("GET", url, "", "Accept-Encoding", accepted).status(200)
			if got := a.plain(c); got != string(want.body) {
				t.Errorf("%s, %s: %.100q, want %.100q", url, accepted, got, want.body)
			}
			if c != "" && len(a.body) >= len(want.body) {
				t.Errorf("%s, %s: %d bytes, without a coding %d", url, accepted, len(a.body), len(want.body))
			}
			head := x.call("HEAD", url, "", "Accept-Encoding", accepted).status(200).header("Content-Encoding", c)
			if length := a.response.Header.Get("Content-Length"); head.response.Header.Get("Content-Length") != length {
				t.Errorf("HEAD %s, %s: a length of %s, want %s", url, accepted, head.response.Header.Get("Content-Length"), length)
			}
		}
		for _, c := range []string{"gzip", "zstd"} {
			text := testkit.Must(io.ReadAll(x.dial().write("GET " + url + " HTTP/1.0\r\nAccept-Encoding: " + c + "\r\n\r\n").in))
			_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
			if url == "/config" {
				c = ""
			}
			if decompressed(t, c, body) != string(want.body) {
				t.Errorf("%s in HTTP/1.0, %s: other content", url, c)
			}
		}
	}
	// An empty export, errors and msgpack.
	for _, c := range []string{"gzip", "zstd"} {
		if got := x.call("GET", "/1/export?age=none", "", "Accept-Encoding", c).fault(12022).response.Header.Get("Content-Encoding"); got != "" {
			t.Errorf("an error is compressed: %s", got)
		}
		if got := x.call("GET", "/1/export?external_ids=none", "", "Accept-Encoding", c).status(200).plain(c); got != "" {
			t.Errorf("an empty export: %q", got)
		}
		want := x.call("GET", "/1/faces?page_size=200", "", "Accept", "application/msgpack").status(200)
		if got := x.call("GET", "/1/faces?page_size=200", "", "Accept", "application/msgpack", "Accept-Encoding", c).status(200).plain(c); got != string(want.body) {
			t.Error("msgpack: other content")
		}
	}
}

// TestPluginCodings checks that bodies and answers of plugins are passed on as they are.
func TestPluginCodings(t *testing.T) {
	x := start(t, func(s *settings) {
		s.plugins = map[string]string{"echo": `return {api = 1, name = "echo", kinds = {"background"}, initialize = function()
			require("nearside").route("POST", "/it", function(r) return 200, r.body .. r.headers["content-encoding"], {["content-encoding"] = "gzip", vary = "x"} end)
		end}`}
	})
	body := codings["gzip"](strings.Repeat("x", 5000))
	a := x.send("POST", "/plugins/echo/it", opaque(body), "Content-Encoding", "gzip", "Accept-Encoding", "zstd").status(200).header("Content-Encoding", "gzip").header("Vary", "x")
	if string(a.body) != body+"gzip" {
		t.Errorf("%q", a.body)
	}
}

// TestBombs sends bodies and imports whose content is much larger than they are. It checks
// that they are refused, and that the memory is bounded and given back.
func TestBombs(t *testing.T) {
	x := start(t, func(s *settings) { s.body, s.line = 4<<20, 1<<20 })
	bombs := map[string][]string{}
	for name, compress := range codings {
		zeros := strings.Repeat("0", 32<<20)
		bombs[name] = append(bombs[name], compress(zeros))
		part := compress(strings.Repeat(" ", 1<<20))
		bombs[name] = append(bombs[name], strings.Repeat(part, 32)) // of many members or frames
	}
	// A frame with a window of 8 MiB whose blocks repeat one byte 128 KiB times each.
	frame := "\x28\xb5\x2f\xfd\x00\x68" + strings.Repeat("\x02\x00\x10 ", 2500)
	bombs["zstd"] = append(bombs["zstd"], frame)
	// Frames and members without content.
	bombs["zstd"] = append(bombs["zstd"], strings.Repeat("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 50_000))
	bombs["gzip"] = append(bombs["gzip"], strings.Repeat(codings["gzip"](""), 20_000))
	before, peak := live(), 0
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, int(m.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	var all sync.WaitGroup
	for name, of := range bombs {
		for i, bomb := range of {
			for range 2 {
				all.Go(func() {
					for _, path := range []string{"/1/matcher/faces", "/1/faces", "/1/faces/find"} {
						a := x.send("POST", path, opaque(bomb), "Content-Encoding", name)
						switch {
						case len(bomb) > 4<<20 || i < 2 || name == "zstd" && i == 2:
							a.fault(12029, "body")
						default:
							a.fault(12001)
						}
					}
					// Lines that are too long or blank; no content is a valid import.
					a := x.send("POST", "/1/import", opaque(bomb), "Content-Encoding", name)
					if a.response.StatusCode != http.StatusOK && !bytes.Contains(a.body, []byte(`"error_code":12001`)) {
						t.Errorf("%s %d: %d %s", name, i, a.response.StatusCode, a.body)
					}
				})
			}
		}
	}
	all.Wait()
	close(stop)
	<-watched
	t.Logf("%d MiB at most, %d MiB before", peak>>20, before>>20)
	// The contents of the imports have more than 800 MiB in all.
	if limit := before + 400<<20; peak > limit {
		t.Errorf("%d MiB of memory in use, want at most %d", peak>>20, limit>>20)
	}
	x.call("GET", "/livez", "").status(200)
}

// TestSlowCompressedBodies sends the beginnings of compressed bodies on many connections.
// It checks that other compressed requests are answered, and that the memory of the server
// does not grow by decoders.
func TestSlowCompressedBodies(t *testing.T) {
	x := start(t, func(s *settings) { s.address = 3000 })
	x.storeFaces(1)
	match := matchBody(storedFace(1), allFaces())
	const connections = 400
	random := make([]byte, 3000)
	for i := range random {
		random[i] = byte(i * i >> 3)
	}
	before := live()
	for n := range connections {
		name := []string{"gzip", "zstd"}[n%2]
		data := codings[name](string(random))
		if n%4 == 3 { // a frame with a window of 8 MiB and the beginning of a block
			data = "\x28\xb5\x2f\xfd\x00\x68\x00\x00\x10" + string(random[:500])
		}
		c := x.dial()
		c.write(fmt.Sprintf("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", name, len(data)+1, data[:len(data)/2]))
	}
	for name, compress := range codings {
		for range 20 {
			x.send("POST", "/1/matcher/faces", opaque(compress(match)), "Content-Encoding", name, "Accept-Encoding", name).status(201)
		}
	}
	used := live() - before
	t.Logf("%d KiB for each connection", used/connections>>10)
	if used/connections > 64<<10 { // both ends of the connection are in this process
		t.Errorf("%d bytes for each of %d connections", used/connections, connections)
	}
}

// TestSlowCompressedImports checks that the decoder of an import is counted in the room for
// lines of imports while the client sends.
func TestSlowCompressedImports(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout = 200 * time.Millisecond })
	line := face(1, descriptor(v4, 1, 2, 3, 4))
	release := x.server.HoldLines()
	for name, compress := range codings {
		x.send("POST", "/1/import", opaque(compress(line)), "Content-Encoding", name).fault(12050, "lines of imports")
	}
	x.call("POST", "/1/import", line).status(200).part("accepted", "1")
	release()
	for name, compress := range codings {
		x.send("POST", "/1/import", opaque(compress(line)), "Content-Encoding", name).status(200).part("accepted", "1")
	}

	y := start(t)
	for name, data := range map[string]string{
		"gzip": codings["gzip"](line)[:30],
		"zstd": "\x28\xb5\x2f\xfd\x00\x68" + string([]byte{byte(len(line) << 3), byte(len(line) >> 5), 0}) + line, // a window of 8 MiB, a part of a line
	} {
		c := y.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: " + name + "\r\nContent-Length: 1000000\r\n\r\n" + data)
		for held := false; !held; { // until the decoder exists
			release := y.server.HoldLines()
			if held = release == nil; !held {
				release()
			}
		}
		c.closeWrite().answer(name).fault(12001)
		release := y.server.HoldLines()
		if release == nil {
			t.Fatalf("%s: the import has ended, but the room of its decoder was not given back", name)
		}
		release()
	}
}

// TestBufferedImport sends an import whose first bytes arrive together with the head. It
// checks that the client does not count as slow before the server has waited for it.
func TestBufferedImport(t *testing.T) {
	x := start(t)
	for name, compress := range codings {
		data := compress(face(1, descriptor(v4, 1, 2, 3, 4)))
		releaseLines := x.server.HoldLines()
		c := x.dial().write(fmt.Sprintf("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", name, len(data), data[:len(data)/2]))
		for x.server.WaitingForLines() == 0 {
			runtime.Gosched()
		}
		releaseWorkers := x.server.HoldWorkers()
		releaseLines()
		for x.server.AdmittedToLines() == 0 { // then it waits for a worker
			runtime.Gosched()
		}
		x.server.EndSlowImports()
		releaseWorkers()
		c.write(data[len(data)/2:]).answer(name).status(200).part("accepted", "1")
	}
}

// live returns the bytes of the heap that are in use.
func live() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
