package ns

import (
	"fmt"
	"regexp"
	"strings"
)

// Limits of the path of a route.
const (
	maxPath   = 256 // bytes
	maxParams = 16
)

// A pattern is the path of a route. It is immutable.
type pattern struct {
	text     string
	segments []segment // the parts after each slash
}

// A segment is a literal text, or the parameter name.
type segment struct {
	text string // as in the pattern
	name string // of the parameter; empty: the segment is literal
}

var (
	literalSegment = regexp.MustCompile(`^[A-Za-z0-9._~-]*$`)
	paramSegment   = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]{0,31})\}$`)
)

// parsePattern reads the path of a route, such as /persons/{id}.
func parsePattern(path string) (pattern, error) {
	p := pattern{text: path}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || len(path) > maxPath {
		return p, fmt.Errorf("path %q must begin with / and have at most %d bytes", cutText(path, maxPath), maxPath)
	}
	names := map[string]bool{}
	for text := range strings.SplitSeq(rest, "/") {
		s := segment{text: text}
		if param := paramSegment.FindStringSubmatch(text); param != nil {
			s.name = param[1]
		} else if !literalSegment.MatchString(text) {
			return p, fmt.Errorf("path %q: the segment %q must be a parameter {name}, or letters, digits and . _ ~ -", path, text)
		}
		if names[s.name] && s.name != "" {
			return p, fmt.Errorf("path %q: the parameter {%s} is used twice", path, s.name)
		}
		names[s.name] = true
		p.segments = append(p.segments, s)
	}
	if len(names) > maxParams {
		return p, fmt.Errorf("path %q has more than %d parameters", path, maxParams)
	}
	return p, nil
}

// conflict returns a path that both p and q match if neither of them is more specific than
// the other. It returns "" if there is no such path.
func (p *pattern) conflict(q *pattern) string {
	if len(p.segments) != len(q.segments) {
		return ""
	}
	var path strings.Builder
	moreP, moreQ := false, false // whether a segment of p, of q is more specific
	for i, a := range p.segments {
		b := q.segments[i]
		text := a.text
		switch {
		case a.name == "" && b.name == "":
			if a.text != b.text {
				return ""
			}
		case a.name != "" && b.name != "":
		case a.name != "":
			if b.text == "" { // a parameter is never empty
				return ""
			}
			moreQ, text = true, b.text
		default:
			if a.text == "" {
				return ""
			}
			moreP = true
		}
		path.WriteString("/" + text)
	}
	if moreP != moreQ {
		return ""
	}
	return path.String()
}
