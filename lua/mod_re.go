package lua

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"nearside/lua/vm"
)

// Bounds of regular expressions.
const (
	maxExpression = 4096 // bytes
	maxCompiled   = 256  // kept per process
	maxMatches    = 10_000
	maxWork       = 16 << 20 // bytes of text times bytes of pattern: what RE2's time grows with
)

// reModule is RE2: its time grows with the text, never beyond.
func reModule() vm.Module {
	pattern := "pattern: string"
	return vm.Module{Name: "re", Doc: "Regular expressions (RE2).", Functions: []vm.Function{
		{
			Name: "match", Params: []string{"s: string", pattern}, Returns: []string{"string[]?"},
			Doc: "Finds the first match: the whole of it, then the groups; nil when there is none.",
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				found := re.FindStringSubmatch(c.Text(1))
				if found == nil {
					return c.Return(nil)
				}
				return c.Return(found)
			},
		},
		{
			Name: "find_all", Params: []string{"s: string", pattern, "limit?: integer"}, Returns: []string{"string[]"},
			Doc: fmt.Sprintf("Finds all matches, at most limit (%d).", maxMatches),
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				limit := min(max(c.IntOr(3, maxMatches), 0), maxMatches)
				return c.Return(re.FindAllString(c.Text(1), limit))
			},
		},
		{
			Name: "replace", Params: []string{"s: string", pattern, "with: string"}, Returns: []string{"string"},
			Doc: "Replaces all matches; $1 or ${name} stand for groups.",
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				text, err := replaceAll(re, c.Text(1), c.Text(3))
				if err != nil {
					return err
				}
				return c.Return(text)
			},
		},
	}}
}

// replaceAll is re.ReplaceAllString with a bound on the result.
func replaceAll(re *regexp.Regexp, s, with string) ([]byte, error) {
	found := re.FindAllStringSubmatchIndex(s, maxMatches+1)
	if len(found) > maxMatches {
		return nil, fmt.Errorf("more than %d matches", maxMatches)
	}
	var out []byte
	at, groups := 0, strings.Count(with, "$")
	for _, m := range found {
		if len(out)+m[0]-at+len(with)+groups*(m[1]-m[0]) > vm.MaxString {
			return nil, fmt.Errorf("the result may be longer than %d bytes", vm.MaxString)
		}
		out = append(out, s[at:m[0]]...)
		out = re.ExpandString(out, with, s, m)
		at = m[1]
	}
	return append(out, s[at:]...), nil
}

// compiled keeps the expressions that were used: compiling one costs more
// than using it.
var compiled = struct {
	sync.Mutex
	m map[string]*regexp.Regexp
}{m: map[string]*regexp.Regexp{}}

func expression(c *vm.Call) (*regexp.Regexp, error) {
	pattern := c.Text(2)
	c.Charge(len(c.Text(1)) / 4)
	if len(pattern) > maxExpression {
		return nil, fmt.Errorf("a pattern of %d bytes is longer than %d", len(pattern), maxExpression)
	}
	if len(c.Text(1))*len(pattern) > maxWork {
		return nil, fmt.Errorf("%d bytes of text times %d of pattern are more than %d", len(c.Text(1)), len(pattern), maxWork)
	}
	compiled.Lock()
	defer compiled.Unlock()
	if re := compiled.m[pattern]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	if len(compiled.m) >= maxCompiled {
		clear(compiled.m)
	}
	compiled.m[pattern] = re
	return re, nil
}
