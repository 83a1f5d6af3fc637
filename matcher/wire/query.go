package wire

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"nearside/matcher"
)

// Query maps the names of a query's parameters to their values, in the order of
// the query.
type Query map[string][]string

// Value returns the value of a parameter that takes one value; given is false if
// the query does not have the parameter.
func (q Query) Value(name string) (text string, given bool, err error) {
	values := q[name]
	if len(values) == 0 {
		return "", false, nil
	}
	return values[0], true, clientError(within(matcher.Shorten(name), onlyOne(values)))
}

// onlyOne refuses a parameter that the query repeats.
func onlyOne(values []string) error {
	if len(values) < 2 {
		return nil
	}
	return badInput("must be given once in the query, got %q and %q", matcher.Shorten(values[0]), matcher.Shorten(values[1]))
}

// QueryInteger reads an integer of a query. As in a body, 33.0 is 33.
func QueryInteger(text string) (n int64, ok bool) {
	n, err := value{[]node{queryNode(formInteger, text)}}.integer(math.MinInt64, math.MaxInt64)
	return n, err == nil
}

// QueryFilter reads the filters of a query. Values have the form that they have
// in JSON, but texts have no quotes. The caller removes the parameters that are
// not filters.
func (d *Decoder) QueryFilter(o matcher.Origin, q Query) (matcher.Filter, error) {
	var f matcher.Filter
	b := binder{Decoder: d, now: d.Now()}
	given := func(name string) bool { return q[name] != nil }
	for _, name := range slices.Sorted(maps.Keys(q)) { // sorted, so that the error is always the same
		field, err := b.filterField(o, name, given)
		if err == nil {
			err = b.bindQuery(&f, field, name, q[name])
		}
		if err != nil {
			return f, clientError(within(matcher.Shorten(name), err))
		}
	}
	return f, nil
}

func (b *binder) bindQuery(f *matcher.Filter, field filterField, name string, values []string) error {
	for _, text := range values {
		if !utf8.ValidString(text) {
			return badInput("must be UTF-8, got %s", quoteAround([]byte(text), invalidUTF8([]byte(text))))
		}
	}
	if field.list {
		v, err := b.queryList(field.form, name, values)
		if err != nil {
			return err
		}
		return field.bind(b, f, v)
	}
	if err := onlyOne(values); err != nil {
		return err
	}
	if field.form != formJSON {
		return field.bind(b, f, value{[]node{queryNode(field.form, values[0])}})
	}
	err := b.bindJSON([]byte(values[0]), func(v value) error { return field.bind(b, f, v) })
	if syntax, ok := errors.AsType[*fault](err); ok && syntax.code == matcher.CodeSyntax {
		return badInput("must be JSON, got %q: %s", matcher.Shorten(values[0]), syntax.message)
	}
	return err
}

// queryList joins all occurrences of a parameter into one list. An occurrence
// that begins with [ is a JSON array. Any other occurrence is a single value if the
// list holds texts; otherwise it holds values separated by commas. An empty
// occurrence has no values.
func (b *binder) queryList(of form, name string, occurrences []string) (value, error) {
	nodes := []node{{kind: kindArray}}
	for _, text := range occurrences {
		var err error
		switch {
		case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "["):
			err = b.bindJSON([]byte(text), func(v value) error {
				nodes[0].num += uint64(v.len())
				nodes = append(nodes, v.nodes[1:v.nodes[0].size]...)
				return nil
			})
			if syntax, ok := errors.AsType[*fault](err); ok && syntax.code == matcher.CodeSyntax {
				err = badInput("must be a JSON array when it begins with [, got %q: %s; write a text that begins with [ in an array, as in %s=[\"[x\"]", matcher.Shorten(text), syntax.message, matcher.Shorten(name))
			}
		case text == "":
		case of != formText:
			for s := range strings.SplitSeq(text, ",") {
				nodes[0].num++
				nodes = append(nodes, queryNode(of, s))
			}
		case strings.Contains(text, ","):
			err = commaFault(name, text)
		default:
			nodes[0].num++
			nodes = append(nodes, queryNode(of, text))
		}
		if err != nil {
			return value{}, err
		}
	}
	nodes[0].size = uint32(len(nodes))
	return value{nodes}, nil
}

// commaFault refuses a text with a comma, because the client may mean one text or
// several. A wrong guess could delete the wrong objects.
func commaFault(name, text string) error {
	text, name = matcher.Shorten(text), matcher.Shorten(name)
	return badInput("%q contains a comma; write %s=[%s] for this text, or %s=a&%s=b for several",
		text, name, AppendValue(nil, JSON, text), name, name)
}

// queryNode returns a node for text. If text does not have the form, the node is a
// string, which the reader of the value refuses.
func queryNode(of form, text string) node {
	n := node{kind: kindString, text: text}
	i, err := strconv.ParseInt(text, 10, 64)
	switch {
	case of == formInteger && err == nil:
		n = node{kind: kindInt, num: uint64(i)}
	case (of == formInteger || of == formNumber) && isNumber(text):
		n = numberNode(text)
		n.text = text // an error quotes it
	case of == formBoolean && text == "true":
		n = node{kind: kindBool, num: 1}
	case of == formBoolean && text == "false":
		n = node{kind: kindBool}
	}
	n.size = 1
	return n
}

// isNumber reports whether text is a JSON number.
func isNumber(text string) bool {
	return json.Valid([]byte(text)) && !strings.ContainsAny(text, "\"ntf[{ \t\r\n")
}
