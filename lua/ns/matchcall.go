package ns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// A MatchCall is the Go value of the argument req of the hook request. It keeps the changes
// of the hook until Commit. It can be used until End.
type MatchCall struct {
	kind   matcher.MatchKind
	limits wire.Limits

	mu      sync.Mutex // guards the fields below; a task of the plugin may use the object later
	ended   bool       // the other fields are not set
	ctx     context.Context
	call    *matcher.MatchCall
	applies func(set *matcher.Candidates) bool
	sets    []matcher.Candidates
}

// errCallEnded is the error of a use of the argument req after the hook request.
var errCallEnded = errors.New("req cannot be used after the hook request has ended")

// NewMatchCall returns the argument of a call of the hook request. applies reports whether
// the plugin is for a candidate set. The caller must call Commit or End.
func (h *Host) NewMatchCall(ctx context.Context, call *matcher.MatchCall, applies func(set *matcher.Candidates) bool) *MatchCall {
	m := &MatchCall{kind: call.Kind, ctx: ctx, call: call, applies: applies, limits: wire.Limits{Result: RowsMax}}
	if h.Services.Decoder != nil {
		m.limits = h.Services.Decoder().Limits
	}
	m.sets = make([]matcher.Candidates, len(call.Candidates))
	for i, set := range call.Candidates {
		m.sets[i] = *set
	}
	return m
}

// Object returns m for the script.
func (m *MatchCall) Object() vm.Object { return vm.Object{Class: matchCallClass, Value: m} }

// End makes further uses an error. A script that keeps m does not keep the request.
func (m *MatchCall) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
}

// end is End while m.mu is held.
func (m *MatchCall) end() { m.ended, m.ctx, m.call, m.applies, m.sets = true, nil, nil, nil, nil }

// Commit makes the changes of the hook, whose first result is given, and ends the use of m.
// It makes no changes if it returns an error.
func (m *MatchCall) Commit(result any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.end()
	if result != nil {
		return errors.New("the result must be nothing, or ns.reject(status, detail); use the methods of req to change the request")
	}
	rows, before := 0, 0
	for i := range m.sets {
		rows += m.sets[i].RowsMax()
		before += m.call.Candidates[i].RowsMax()
	}
	references := max(1, len(m.call.References))
	if limit := m.call.RowsMax / references; rows > limit && before <= limit {
		return fmt.Errorf("the changed limits and group sizes allow %d rows for each of %d references, in all more than the maximum of %d", rows, references, m.call.RowsMax)
	}
	for i, set := range m.call.Candidates {
		*set = m.sets[i]
	}
	return nil
}

// change changes the candidate set with the number in argument 2, or all sets that the
// plugin is for.
func (m *MatchCall) change(c *vm.Call, change func(set *matcher.Candidates) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return errCallEnded
	}
	if c.Has(2) {
		n := c.Int(2)
		if n < 1 || n > len(m.sets) {
			return fmt.Errorf("set: must be a number from 1 to %d, got %d", len(m.sets), n)
		}
		if set := &m.sets[n-1]; m.applies(set) {
			return change(set)
		}
		return fmt.Errorf("set: the plugin is not for candidate set %d, see the field matching and plugins.override", n)
	}
	for i := range m.sets {
		if set := &m.sets[i]; m.applies(set) {
			if err := change(set); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyMatch returns an error for a field that the candidates of a cross match do not have.
func (m *MatchCall) onlyMatch(field string) error {
	if m.kind == matcher.MatchCross {
		return fmt.Errorf("a cross match has no %s; only limit, threshold and targets can be changed", field)
	}
	return nil
}

// setters are the methods that change candidate sets.
func setters() []vm.Function {
	setter := func(field, param, doc string, read func(c *vm.Call, m *MatchCall) (func(set *matcher.Candidates) error, error)) vm.Function {
		return vm.Function{
			Name: "set_" + field, Params: []string{param, "set?: integer"},
			Doc: doc + " set is the number of a candidate set, from 1; without it, all sets change that the plugin is for.",
			Run: func(c *vm.Call) error {
				m := c.Self().(*MatchCall)
				change, err := read(c, m)
				if err != nil {
					return err
				}
				return m.change(c, change)
			},
		}
	}
	return []vm.Function{
		setter("threshold", "x: number", "Sets the minimum similarity, 0 to 1.", readThreshold),
		setter("limit", "n: integer", "Sets the maximum number of rows in the answer, or of groups if it is grouped: 1 to limits.result.", readLimit),
		setter("targets", "targets: string[]?", "Sets the fields of the rows in the answer; nil: all.", readTargets),
		setter("order", "order: string", "Sets the order: similarity, create_time_asc or create_time_desc.", readOrder),
		setter("exclude_self", "exclude: boolean", "Sets whether the answer leaves out the object of the reference.", readExcludeSelf),
		setter("group", "group: {by: string, size: integer?}?", "Groups the answer by a field, with at most size (1 to 10, default 1) rows of each group; nil: it is not grouped.", readGrouping),
	}
}

func readThreshold(c *vm.Call, _ *MatchCall) (func(set *matcher.Candidates) error, error) {
	x := c.Number(1)
	if !(x >= 0 && x <= 1) { // also NaN
		return nil, fmt.Errorf("threshold: must be a number from 0 to 1, got %v", x)
	}
	return func(set *matcher.Candidates) error { set.Threshold = x; return nil }, nil
}

func readLimit(c *vm.Call, m *MatchCall) (func(set *matcher.Candidates) error, error) {
	n := c.Number(1)
	if n != math.Trunc(n) || !(n >= 1 && n <= float64(m.limits.Result)) {
		return nil, fmt.Errorf("limit: must be an integer from 1 to %d (limits.result), got %v", m.limits.Result, n)
	}
	return func(set *matcher.Candidates) error { set.Limit = int(n); return nil }, nil
}

func readTargets(c *vm.Call, _ *MatchCall) (func(set *matcher.Candidates) error, error) {
	if !c.Has(1) {
		return func(set *matcher.Candidates) error { set.Targets = nil; return nil }, nil
	}
	list := c.List(1)
	return func(set *matcher.Candidates) error {
		targets, err := targetsOf(set.Origin, list)
		if err == nil {
			set.Targets = targets
		}
		return err
	}, nil
}

// targetsOf returns a list of names as targets of o, without repetitions.
func targetsOf(o matcher.Origin, list []any) ([]string, error) {
	targets, seen := []string{}, map[string]bool{}
	for i, v := range list {
		name, _ := v.(string)
		target := wire.Target(o, name)
		if target == "" {
			return nil, fmt.Errorf("targets[%d]: %w", i+1, unknownTarget(o, v))
		}
		if !seen[target] {
			targets = append(targets, target)
		}
		seen[target] = true
	}
	return targets, nil
}

// unknownTarget returns the error for a value that is no target of o.
func unknownTarget(o matcher.Origin, v any) error {
	name, ok := v.(string)
	if !ok {
		return fmt.Errorf("must be a string, got %s", goval.Describe(v))
	}
	all := wire.Targets(o)
	return fmt.Errorf("%q is not a field of rows of %s; the fields are %s%s", goval.Shorten(name), o, strings.Join(all, ", "), goval.DidYouMean(name, all))
}

func readOrder(c *vm.Call, m *MatchCall) (func(set *matcher.Candidates) error, error) {
	order, err := matcher.ParseOrder(c.Text(1))
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	return func(set *matcher.Candidates) error { set.Order = order; return nil }, m.onlyMatch("order")
}

func readExcludeSelf(c *vm.Call, m *MatchCall) (func(set *matcher.Candidates) error, error) {
	exclude, ok := c.Value(1).(bool)
	if !ok {
		return nil, errors.New("exclude_self: must be true or false")
	}
	return func(set *matcher.Candidates) error { set.ExcludeSelf = exclude; return nil }, m.onlyMatch("exclude_self")
}

func readGrouping(c *vm.Call, m *MatchCall) (func(set *matcher.Candidates) error, error) {
	if !c.Has(1) {
		return func(set *matcher.Candidates) error { set.Group = nil; return nil }, m.onlyMatch("group")
	}
	r := goval.Reader{Map: c.Map(1), Path: "group."}
	r.RefuseUnknown("by", "size")
	by, size := r.Text("by", ""), r.Whole("size", 1, 1, matcher.GroupSizeMax)
	if err := errors.Join(r.Faults...); err != nil {
		return nil, err
	}
	return func(set *matcher.Candidates) error {
		fields := matcher.GroupFields(set.Origin)
		for _, f := range fields {
			if f.Name == by {
				set.Group = &matcher.Grouping{By: f, Size: size}
				return nil
			}
		}
		if len(fields) == 0 {
			return fmt.Errorf("group.by: %s cannot be grouped", set.Origin)
		}
		return fmt.Errorf("group.by: must be one of %s for %s, got %q", matcher.GroupNames(fields), set.Origin, goval.Shorten(by))
	}, m.onlyMatch("group")
}

// callField returns a field of the class MatchCall. get is called while m.mu is held.
func callField(name, kind, doc string, get func(m *MatchCall) any) vm.Value {
	return vm.Value{Name: name, Type: kind, Doc: doc, Direct: true, Get: func(c *vm.Call) any {
		m := c.Self().(*MatchCall)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.ended {
			return errCallEnded
		}
		return get(m)
	}}
}

var matchCallClass = &vm.Class{
	Name: "MatchCall", Doc: "The argument req of the hook request: a match or a cross match, before its references are resolved.",
	Fields: []vm.Value{
		callField("kind", "string", "match_face, match_body or cross_match.", func(m *MatchCall) any { return string(m.call.Kind) }),
		callField("descriptor_type", "string", "The type of the descriptors: face or body.", func(m *MatchCall) any { return m.call.Type.String() }),
		callField("version", "integer?", "The version that all references must have (descriptor_version); nil: any.", func(m *MatchCall) any {
			if m.call.Version == 0 {
				return nil
			}
			return int(m.call.Version)
		}),
		callField("origin", "string", "The kind of the objects of the first candidate set: faces, events or attributes.", func(m *MatchCall) any { return m.sets[0].Origin.String() }),
		callField("sets", "table[]", "A new list of the candidate sets, each {origin, filters, limit, threshold, order, targets, group, offset, count, exclude_self}, with the changes so far. To change the request, call the methods.", (*MatchCall).setTables),
		callField("references", "table[]", "The references as the client gave them, each {type, id}; none in a cross match.", func(m *MatchCall) any {
			all := make([]any, len(m.call.References))
			for i := range m.call.References {
				all[i] = map[string]any{"type": string(m.call.References[i].Type), "id": m.call.References[i].ID}
			}
			return all
		}),
		callField("reference_set", "table?", "{origin, filters} of the references of a cross match, else nil.", func(m *MatchCall) any {
			if s := m.call.ReferenceSet; s != nil {
				return map[string]any{"origin": s.Origin.String(), "filters": wire.FilterValues(s.Origin, &s.Filter)}
			}
			return nil
		}),
		callField("account_id", "string?", "If set, only objects of this account are visible.", func(m *MatchCall) any {
			if m.call.Account == nil {
				return nil
			}
			return m.call.Account.String()
		}),
		callField("key", "string?", "The name of the caller's key; nil: there is none.", func(m *MatchCall) any { return textOrNil(m.call.Key) }),
		callField("route", "string", "The route, as in metrics: POST:/matcher/faces.", func(m *MatchCall) any { return m.call.Route }),
		callField("request_id", "string", "The id of the HTTP request.", func(m *MatchCall) any { return m.call.RequestID }),
		callField("forwarded", "boolean", "Whether another nearside server sent the request.", func(m *MatchCall) any { return m.call.Forwarded }),
		callField("deadline_ms", "number?", "Milliseconds until the deadline of the request; nil: no deadline.", func(m *MatchCall) any { return millisecondsLeft(m.ctx) }),
	},
	Methods: setters(),
}

// textOrNil returns text, or nil if it is empty.
func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// millisecondsLeft returns the milliseconds until the deadline of ctx, or nil if it has none.
func millisecondsLeft(ctx context.Context) any {
	until, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	return float64(time.Until(until)) / float64(time.Millisecond)
}

// setTables returns the candidate sets with the changes so far. m.mu is held.
func (m *MatchCall) setTables() any {
	all := make([]any, len(m.sets))
	for i := range m.sets {
		all[i] = SetTable(&m.sets[i])
	}
	return all
}

// SetTable returns the fields of a candidate set as a value for a script.
func SetTable(set *matcher.Candidates) map[string]any {
	t := map[string]any{
		"origin": set.Origin.String(), "filters": wire.FilterValues(set.Origin, &set.Filter), "limit": set.Limit, "threshold": set.Threshold,
		"order": set.Order.String(), "offset": set.Offset, "count": set.Count, "exclude_self": set.ExcludeSelf,
	}
	if set.Targets != nil {
		t["targets"] = set.Targets
	}
	if g := set.Group; g != nil {
		t["group"] = map[string]any{"by": g.By.Name, "size": g.Size}
	}
	return t
}
