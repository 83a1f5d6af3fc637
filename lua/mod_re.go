package lua

import (
	"fmt"
	"regexp"
	"sync"

	"nearside/lua/vm"
)

// Bounds of regular expressions.
const (
	maxExpression = 4096 // bytes
	maxCompiled   = 256  // kept per process
	maxMatches    = 10_000
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
				s, with := c.Text(1), c.Text(3)
				// Each of at most len+1 matches adds the template and what
				// its groups hold.
				if grow := (len(s) + 1) * (len(with) + 1); grow > vm.MaxString && len(s)*len(with) > 0 {
					if n := len(re.FindAllStringIndex(s, maxMatches+1)); n > maxMatches {
						return fmt.Errorf("more than %d matches", maxMatches)
					}
				}
				return c.Return(re.ReplaceAllString(s, with))
			},
		},
	}}
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
