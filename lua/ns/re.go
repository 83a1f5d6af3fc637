package ns

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"nearside/lua/vm"
)

// Limits of regular expressions.
const (
	maxExpression = 4096 // bytes
	maxCompiled   = 256  // compiled expressions that a process keeps
	maxMatches    = 10_000
	maxProgram    = 5000     // steps of a compiled expression; a{1000} has 1000 steps
	maxWork       = 64 << 20 // bytes of text times steps; the time of RE2 is proportional to it
)

// ReModule is ns.re: RE2 expressions, whose time is linear in the length of the text.
func ReModule() vm.Module {
	pattern := "pattern: string"
	return vm.Module{Name: "re", Doc: "Regular expressions (RE2).", Functions: []vm.Function{
		{
			Name: "match", Params: []string{"s: string", pattern}, Returns: []string{"string[]?"},
			Doc: "Finds the first match and returns the matched text, followed by the texts of the groups. Returns nil if s does not match.",
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				found := re.FindStringSubmatch(c.Text(1))
				if found == nil {
					return c.Return(nil)
				}
				return c.Return(cloneAll(found))
			},
		},
		{
			Name: "find_all", Params: []string{"s: string", pattern, "limit?: integer"}, Returns: []string{"string[]"},
			Doc: fmt.Sprintf("Returns the texts of all matches, at most limit. The default of limit is its maximum, %d.", maxMatches),
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				limit := maxMatches
				if c.Has(3) {
					limit = min(c.Count(3, 0), maxMatches)
				}
				found := re.FindAllString(c.Text(1), limit)
				c.Charge(matchUnits * len(found))
				return c.Return(cloneAll(found))
			},
		},
		{
			Name: "replace", Params: []string{"s: string", pattern, "with: string"}, Returns: []string{"string"},
			Doc: "Replaces all matches with a text, in which $1 and ${name} stand for groups, and returns the result.",
			Run: func(c *vm.Call) error {
				re, err := expression(c)
				if err != nil {
					return err
				}
				text, err := replaceAll(c, re, c.Text(1), c.Text(3))
				if err != nil {
					return err
				}
				return c.Return(text)
			},
		},
	}}
}

// matchUnits is the charge for copying one match, in addition to finding it.
const matchUnits = 12

// replaceAll is like re.ReplaceAllString, with a limit on the length of the result.
func replaceAll(c *vm.Call, re *regexp.Regexp, s, with string) ([]byte, error) {
	found := re.FindAllStringSubmatchIndex(s, maxMatches+1)
	if len(found) > maxMatches {
		return nil, fmt.Errorf("more than %d matches", maxMatches)
	}
	c.Charge(matchUnits * len(found))
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

// compiled caches expressions, because compiling one costs more than using it.
var compiled = struct {
	sync.Mutex
	m map[string]*program
}{m: map[string]*program{}}

// expression returns the expression of argument 2. It charges for matching it once with
// the text of argument 1.
func expression(c *vm.Call) (*regexp.Regexp, error) {
	pattern, text := c.Text(2), c.Text(1)
	if len(pattern) > maxExpression {
		return nil, fmt.Errorf("the pattern must have at most %d bytes, got %d", maxExpression, len(pattern))
	}
	c.Charge(50)
	re, err := compiledExpression(c, pattern)
	if err != nil {
		return nil, err
	}
	if len(text)*re.steps > maxWork {
		return nil, fmt.Errorf("%d bytes of text times %d steps of the pattern are more than %d", len(text), re.steps, maxWork)
	}
	c.Charge(max(len(text)/2, len(text)*re.steps/32))
	c.Allocate(len(text))
	return re.Regexp, nil
}

func compiledExpression(c *vm.Call, pattern string) (*program, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if re := compiled.m[pattern]; re != nil {
		return re, nil
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	steps := stepsOf(tree)
	if steps > maxProgram {
		return nil, fmt.Errorf("the pattern must have at most %d steps, got %d", maxProgram, steps)
	}
	c.Charge(200 + 40*steps)
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	if len(compiled.m) >= maxCompiled {
		clear(compiled.m)
	}
	p := &program{re, steps}
	compiled.m[strings.Clone(pattern)] = p
	return p, nil
}

// program is a compiled expression with its number of steps.
type program struct {
	*regexp.Regexp
	steps int
}

// stepsOf returns the approximate number of steps of an expression when its
// repetitions are expanded.
func stepsOf(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		n += stepsOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxProgram*1000)
}

// cloneAll replaces each part of a text with a copy, in place. Only the bytes of the part
// are counted as memory, so the part must not keep the whole text in memory.
func cloneAll(parts []string) []string {
	for i := range parts {
		parts[i] = strings.Clone(parts[i])
	}
	return parts
}
