package remote

import (
	"regexp"
	"strconv"
	"strings"

	"nearside/matcher"
)

// placer translates a path in a call to a path in the client's request. The path
// in the call is list[index] and then field, as in ".filters.list_id"; index -1
// means list itself. The result is empty if the client's request has no such place.
// left is the part of field that the result does not include.
type placer func(list string, index int, field string) (path, left string)

// errorPath matches the path at the beginning of an error's detail.
var errorPath = regexp.MustCompile(`(?s)^(references and candidates|references|candidates|limit|threshold|targets)(?:\[(\d{1,9})\])?((?:\..*?)?): `)

// locate splits a remote's detail into a path in the client's request and the rest.
// The path is empty if the detail names no place. The rest contains no index of the
// call, because clients do not know the call.
func (p placer) locate(detail string) (path, rest string) {
	m := errorPath.FindStringSubmatch(detail)
	if m == nil || p == nil {
		return "", detail
	}
	list, field, rest := m[1], m[3], detail[len(m[0]):]
	if list == "references and candidates" { // of a cross match; the client's request has both
		return list, rest
	}
	index := -1
	if m[2] != "" {
		index, _ = strconv.Atoi(m[2]) // at most nine digits never fail
	}
	path, left := p(list, index, field)
	if path == "" && left == "" {
		left = list + field
	}
	if left = strings.TrimPrefix(left, "."); left != "" {
		rest = left + ": " + rest
	}
	return path, rest
}

// matchPlacer returns the placer of the match that answers b.
func (b *batch) matchPlacer(subs []matcher.SubRequest) placer {
	return func(list string, index int, field string) (path, left string) {
		switch {
		case list != "references" && list != "candidates":
		case index < 0:
			return list + field, ""
		case list == "references" && index < len(b.references):
			ref, field := partAt(b.references[index], field)
			path := ref.Path(field)
			if strings.HasSuffix(path, field) {
				return path, ""
			}
			return path, field
		case list == "candidates" && index < len(b.sets) && subs[b.subs[index]].Path != "":
			return setPath(subs[b.subs[index]].Path, field), ""
		}
		return "", ""
	}
}

// partPath matches the path of a part within a reference of type together.
var partPath = regexp.MustCompile(`^\.references\[(\d{1,9})\]`)

// partAt returns the part of ref that field begins with, and the rest of field. It returns
// ref and field unchanged if field does not begin with a part.
func partAt(ref *matcher.Reference, field string) (part *matcher.Reference, rest string) {
	m := partPath.FindStringSubmatch(field)
	if m == nil {
		return ref, field
	}
	if n, _ := strconv.Atoi(m[1]); n < len(ref.Parts) { // at most nine digits never fail
		return &ref.Parts[n], field[len(m[0]):]
	}
	return ref, field
}

// setPath returns the path of a field of the candidate set at path. In a cross
// match, only the filters are inside the set; the other fields are beside it.
func setPath(path, field string) string {
	if path == "candidates" && field != "" && !strings.HasPrefix(field, ".filters") {
		return strings.TrimPrefix(field, ".")
	}
	return path + field
}

// keysPlacer returns the placer of a call whose references are keys. The
// candidates of the call do not come from the client.
func keysPlacer(keys []matcher.Reference) placer {
	return func(list string, index int, field string) (path, left string) {
		switch {
		case list != "references":
		case index < 0:
			return list + field, ""
		case index < len(keys):
			return keys[index].Path(field), ""
		}
		return "", ""
	}
}

// crossPlacer is the placer of a cross match. The call has the same form as the
// client's request.
func crossPlacer(list string, index int, field string) (path, left string) {
	if index >= 0 {
		list += "[" + strconv.Itoa(index) + "]"
	}
	return list + field, ""
}
