package server

import (
	"bytes"
	"slices"
	"strconv"

	"nearside/matcher"
)

// head has the facts of a request line and header that a connection needs. It is
// checked strictly: a client could exploit a difference between this server and a
// proxy in front of it to mix up the requests of different clients. hertz parses the
// same bytes again and is more tolerant.
type head struct {
	lines   int   // scanned so far, including the request line
	http10  bool  // HTTP/1.0
	hosts   int   // number of Host headers
	framed  int   // number of headers that define the length of the body
	length  int64 // of the body in bytes; -1: chunked
	expects bool  // the client waits for 100 Continue before it sends the body
	// emptyHost is the offset of an empty value of Host; 0: Host has a value or is
	// missing.
	emptyHost int

	scanned int      // bytes of complete lines
	hidden  [][2]int // lines that hertz does not see: begin and end offsets, ascending
}

// hiddenKept is the capacity of hidden that is kept for the next request.
const hiddenKept = 16

// reset makes h ready for the next request.
func (h *head) reset() {
	kept := h.hidden[:0]
	if cap(kept) > hiddenKept {
		kept = nil
	}
	*h = head{hidden: kept}
}

// scan reads the lines that have arrived since the last call. text is all that has
// arrived of the request. scan returns the size of the head, or 0 while the head is
// incomplete.
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
		case h.lines == 0 && len(line) == 0: // HTTP allows an empty line before a request
			h.hidden = append(h.hidden[:0], [2]int{0, h.scanned})
		case h.lines == 0:
			h.lines++
			if err := h.checkRequestLine(line); err != nil {
				return 0, err
			}
		case len(line) == 0:
			return h.scanned, h.checkWhole()
		default:
			h.lines++
			if err := h.checkField(line, begin); err != nil {
				return 0, err
			}
		}
	}
}

func notHTTP(format string, args ...any) *matcher.Error {
	return matcher.Errorf(matcher.CodeSyntax, "request: not HTTP/1.1: "+format, args...)
}

// checkRequestLine checks METHOD TARGET VERSION.
func (h *head) checkRequestLine(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, protocol, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(method) == 0 || len(target) == 0 {
		return notHTTP("the request line %q is not METHOD TARGET HTTP/1.1", matcher.Shorten(string(line)))
	}
	for _, b := range method {
		if !isToken(b) {
			return notHTTP("the method %q has the character %q", matcher.Shorten(string(method)), b)
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
		h.http10 = true
	default:
		return notHTTP("the version %q is neither HTTP/1.1 nor HTTP/1.0", matcher.Shorten(version))
	}
	return nil
}

// checkField checks one line of the header. begin is its offset in the head.
func (h *head) checkField(line []byte, begin int) error {
	if line[0] == ' ' || line[0] == '\t' {
		return notHTTP("line %d of the header begins with a space; a value must be on one line", h.lines)
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return notHTTP("line %d of the header, %q, is not NAME: VALUE", h.lines, matcher.Shorten(string(line)))
	}
	for _, b := range name {
		if !isToken(b) {
			return notHTTP("line %d of the header: the name %q has the character %q", h.lines, matcher.Shorten(string(name)), b)
		}
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return notHTTP("line %d of the header: the value of %q has the character %q", h.lines, matcher.Shorten(string(name)), b)
		}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case equalName(name, "host"):
		return h.checkHost(value, begin+len("Host:"))
	case equalName(name, "content-length"):
		return h.readContentLength(value, begin)
	case equalName(name, "transfer-encoding"):
		return h.readTransferEncoding(value, begin)
	case equalName(name, "expect") && bytes.EqualFold(value, []byte("100-continue")):
		h.expects = true
		h.hideLine(begin)
	}
	return nil
}

// equalName compares a header name with one in lower case.
func equalName(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

// hideLine hides the line that was scanned last from hertz.
func (h *head) hideLine(begin int) {
	if last := len(h.hidden) - 1; last >= 0 && h.hidden[last][1] == begin {
		h.hidden[last][1] = h.scanned
		return
	}
	h.hidden = append(h.hidden, [2]int{begin, h.scanned})
}

// shiftHidden moves the offsets in hidden after a byte was inserted into the head at
// offset at.
func (h *head) shiftHidden(at int) {
	for i := range h.hidden {
		if h.hidden[i][0] >= at {
			h.hidden[i][0]++
			h.hidden[i][1]++
		}
	}
}

// checkHost checks the value of Host. at is its offset in the head.
func (h *head) checkHost(value []byte, at int) error {
	if len(value) == 0 {
		h.emptyHost = at
	}
	if h.hosts++; h.hosts > 1 {
		return matcher.Errorf(matcher.CodeSyntax, "header: Host: must be given once")
	}
	if at := bytes.IndexAny(value, " \t,/\\?#@<>\""); at >= 0 {
		return matcher.Errorf(matcher.CodeSyntax, "header: Host: must not have the character %q, got %q", value[at], matcher.Shorten(string(value)))
	}
	return nil
}

func (h *head) readContentLength(value []byte, begin int) error {
	h.framed++
	h.hideLine(begin)
	n, err := strconv.ParseUint(string(value), 10, 63) // ParseUint accepts no sign
	if err != nil {
		return matcher.Errorf(matcher.CodeSyntax, "header: Content-Length: must be a number of bytes, got %q", matcher.Shorten(string(value)))
	}
	h.length = int64(n)
	return nil
}

func (h *head) readTransferEncoding(value []byte, begin int) error {
	h.framed++
	h.hideLine(begin)
	if !bytes.EqualFold(value, []byte("chunked")) {
		return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding: must be chunked, got %q", matcher.Shorten(string(value)))
	}
	h.length = -1
	return nil
}

// checkWhole makes the checks that need all lines of the head.
func (h *head) checkWhole() error {
	switch {
	case h.framed > 1:
		return matcher.Errorf(matcher.CodeSyntax, "header: only one of Content-Length and Transfer-Encoding is allowed, and only once")
	case h.hosts == 0 && !h.http10:
		return matcher.Errorf(matcher.CodeSyntax, "header: Host: is missing, but HTTP/1.1 requires it")
	case h.length < 0 && h.http10:
		return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding: must not be given in HTTP/1.0")
	}
	h.expects = h.expects && !h.http10
	return nil
}

// removeHidden removes the hidden lines from text, which is the whole head. It moves
// the other bytes to the end of text and returns the offset of the first one. It
// moves each byte at most once.
func (h *head) removeHidden(text []byte) int {
	begin, end := len(text), len(text) // begin of the moved bytes, end of the bytes that have not been moved
	for _, line := range slices.Backward(h.hidden) {
		begin -= end - line[1]
		copy(text[begin:], text[line[1]:end])
		end = line[0]
	}
	begin -= end
	copy(text[begin:], text[:end])
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
