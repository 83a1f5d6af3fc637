package server

import (
	"bytes"
	"unicode/utf8"

	"nearside/matcher"
)

// parameter is a query parameter: a key and one of its values.
type parameter struct{ key, value string }

// parameters returns the query parameters in the order of the request. hertz would
// read a malformed percent escape as plain text, so a filter could have another
// meaning than the client intended.
func (x *exchange) parameters() ([]parameter, error) {
	var all []parameter
	for part := range bytes.SplitSeq(x.URI().QueryString(), []byte("&")) {
		if len(part) == 0 || string(part) == "=" {
			continue
		}
		k, v, _ := bytes.Cut(part, []byte("="))
		key, wrong := unescape(k)
		if wrong != "" {
			return nil, escapeFault("query: the key", k, wrong)
		}
		if key == "" {
			return nil, matcher.Errorf(matcher.CodeBadInput, "query: the parameter %q has no name", matcher.Shorten(string(part)))
		}
		value, wrong := unescape(v)
		if wrong != "" {
			return nil, escapeFault(matcher.Shorten(key)+":", v, wrong)
		}
		all = append(all, parameter{key, value})
	}
	return all, nil
}

// escapeFault returns the error of a text with a malformed escape. text and wrong
// are not decoded.
func escapeFault(where string, text []byte, wrong string) error {
	return matcher.Errorf(matcher.CodeBadInput, "%s %q has the wrong escape %q; %% must be followed by two hexadecimal digits, and is itself written %%25",
		where, matcher.Shorten(string(text)), wrong)
}

// unescape decodes percent escapes, and + as a space. wrong is the first malformed
// escape, or "".
func unescape(text []byte) (decoded, wrong string) {
	if bytes.IndexByte(text, '%') < 0 && bytes.IndexByte(text, '+') < 0 {
		return string(text), ""
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
				return "", string(text[i:min(i+3, len(text))])
			}
			out = append(out, fromHex(text[i+1])<<4|fromHex(text[i+2]))
			i += 2
		default:
			out = append(out, b)
		}
	}
	return string(out), ""
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// fromHex returns the value of a hexadecimal digit.
func fromHex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}

// checkText refuses a parameter that is not UTF-8.
func (p parameter) checkText() error {
	if utf8.ValidString(p.key) && utf8.ValidString(p.value) {
		return nil
	}
	return matcher.Errorf(matcher.CodeBadInput, "%s: must be UTF-8", matcher.Shorten(p.key))
}
