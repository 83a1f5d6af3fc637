package server

import (
	"bytes"
	"slices"
	"strconv"

	"nearside/matcher"
)

// head is what a connection needs to know of the head of a request: its request
// line and its header. It is checked strictly, because a proxy in front of this
// server that understands a head in another way could be led to mix up the
// requests of different clients. hertz parses the same bytes again and is more
// tolerant.
type head struct {
	lines   int  // read so far, with the request line
	old     bool // HTTP/1.0
	hosts   int
	framed  int   // headers that say how long the body is
	length  int64 // of the body in bytes; -1: chunked
	expects bool  // the client waits for 100 before it sends the body

	scanned int      // bytes that hold whole lines
	cut     [][2]int // lines that hertz does not see, from..to, in ascending order
}

// reset makes h ready for the next request.
func (h *head) reset() { *h = head{cut: h.cut[:0]} }

// scan reads the lines that have come since the last call. text is everything
// that has come of the request. scan returns the size of the head once it is
// complete, 0 before.
func (h *head) scan(text []byte) (size int, err error) {
	if h.lines == 0 && h.scanned < len(text) {
		if first := text[h.scanned]; !isToken(first) && first != '\r' {
			return 0, notHTTP("the request line begins with %q", first)
		}
	}
	for {
		line := text[h.scanned:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			return 0, nil
		}
		if line = line[:end]; end == 0 || line[end-1] != '\r' {
			return 0, notHTTP("line %d of the header ends with LF alone, not with CRLF", h.lines+1)
		}
		begin := h.scanned
		h.scanned += end + 1
		switch line = line[:end-1]; {
		case h.lines == 0 && len(line) == 0: // allowed before a request
			h.cut = append(h.cut[:0], [2]int{0, h.scanned})
		case h.lines == 0:
			h.lines++
			if err := h.requestLine(line); err != nil {
				return 0, err
			}
		case len(line) == 0:
			return h.scanned, h.check()
		default:
			h.lines++
			if err := h.field(line, begin); err != nil {
				return 0, err
			}
		}
	}
}

func notHTTP(format string, args ...any) *matcher.Error {
	return matcher.Errorf(matcher.CodeSyntax, "request: not HTTP/1.1: "+format, args...)
}

// requestLine checks METHOD TARGET VERSION.
func (h *head) requestLine(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, protocol, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(method) == 0 || len(target) == 0 {
		return notHTTP("the request line %q is not METHOD TARGET HTTP/1.1", shorten(string(line)))
	}
	for _, b := range method {
		if !isToken(b) {
			return notHTTP("the method %q has the character %q", shorten(string(method)), b)
		}
	}
	for _, b := range target {
		if b <= ' ' || b == 0x7f {
			return notHTTP("the target of the request has the character %q", b)
		}
	}
	switch version := string(protocol); version {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old = true
	default:
		return notHTTP("the version %q is neither HTTP/1.1 nor HTTP/1.0", shorten(version))
	}
	return nil
}

// field checks one line of the header, which begins at that byte of the head.
func (h *head) field(line []byte, begin int) error {
	if line[0] == ' ' || line[0] == '\t' {
		return notHTTP("line %d of the header begins with a space; a value must be on one line", h.lines)
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return notHTTP("line %d of the header, %q, is not NAME: VALUE", h.lines, shorten(string(line)))
	}
	for _, b := range name {
		if !isToken(b) {
			return notHTTP("line %d of the header: the name %q has the character %q", h.lines, shorten(string(name)), b)
		}
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return notHTTP("line %d of the header: the value of %q has the character %q", h.lines, shorten(string(name)), b)
		}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "host"):
		return h.host(value)
	case is(name, "content-length"):
		return h.contentLength(value, begin)
	case is(name, "transfer-encoding"):
		return h.transferEncoding(value, begin)
	case is(name, "expect") && bytes.EqualFold(value, []byte("100-continue")):
		h.expects = true
		h.hide(begin)
	}
	return nil
}

func is(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

// hide keeps the line scanned last from hertz.
func (h *head) hide(begin int) { h.cut = append(h.cut, [2]int{begin, h.scanned}) }

func (h *head) host(value []byte) error {
	if h.hosts++; h.hosts > 1 {
		return matcher.Errorf(matcher.CodeSyntax, "header: Host is there more than once")
	}
	if at := bytes.IndexAny(value, " \t,/\\?#@<>\""); at >= 0 {
		return matcher.Errorf(matcher.CodeSyntax, "header: Host: %q has the character %q", shorten(string(value)), value[at])
	}
	return nil
}

func (h *head) contentLength(value []byte, begin int) error {
	h.framed++
	h.hide(begin)
	n, err := strconv.ParseUint(string(value), 10, 63) // takes no sign
	if err != nil {
		return matcher.Errorf(matcher.CodeSyntax, "header: Content-Length: %q is not a number of bytes", shorten(string(value)))
	}
	h.length = int64(n)
	return nil
}

func (h *head) transferEncoding(value []byte, begin int) error {
	h.framed++
	h.hide(begin)
	if !bytes.EqualFold(value, []byte("chunked")) {
		return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding: %q is not chunked", shorten(string(value)))
	}
	h.length = -1
	return nil
}

// check checks the head as a whole.
func (h *head) check() error {
	switch {
	case h.framed > 1:
		return matcher.Errorf(matcher.CodeSyntax, "header: Content-Length and Transfer-Encoding say more than once how long the body is")
	case h.hosts == 0 && !h.old:
		return matcher.Errorf(matcher.CodeSyntax, "header: Host is missing, which HTTP/1.1 requires")
	case h.length < 0 && h.old:
		return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding is not part of HTTP/1.0")
	}
	h.expects = h.expects && !h.old
	return nil
}

// remove takes the lines that hertz must not see out of text, which is the
// whole head. It returns where the rest begins.
func (h *head) remove(text []byte) int {
	begin := 0
	for _, v := range slices.Backward(h.cut) {
		from, to := begin+v[0], begin+v[1]
		copy(text[begin+to-from:to], text[begin:from])
		begin += to - from
	}
	return begin
}

// isToken reports whether b may be part of a method or of the name of a header.
func isToken(b byte) bool { return tokens[b] }

var tokens = func() (all [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		all[b] = true
	}
	return all
}()
