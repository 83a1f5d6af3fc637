package lua

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// The descriptors of tests: short, so that they can be written down.
const (
	trialVersion = 1
	trialLength  = 16
)

// trialMemory is a local matcher with the rows of one call.
type trialMemory struct {
	*memory.Memory
	decoder *wire.Decoder
	version *matcher.Version
}

// newTrialMemory makes one; it has to be closed.
func newTrialMemory(now func() time.Time) (*trialMemory, error) {
	registry, err := matcher.NewRegistry([]matcher.Version{
		{Number: trialVersion, Length: trialLength, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1000, Steepness: 0.01}},
	})
	if err != nil {
		return nil, err
	}
	m, err := memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 1, Cost: costDefault})
	if err != nil {
		return nil, err
	}
	limits := wire.Limits{References: 1, Candidates: 1, Result: rowsMax, FilterValues: rowsMax}
	return &trialMemory{m, &wire.Decoder{Registry: registry, Limits: limits, Now: now}, registry.Version(trialVersion)}, nil
}

// put stores faces that are written as in a request, but for their
// descriptors, and returns their numbers by ID.
func (m *trialMemory) put(rows []any) (map[matcher.ID]int, error) {
	number := map[matcher.ID]int{}
	for i, row := range rows {
		fields, ok := clone(row).(map[string]any)
		if !ok {
			return nil, fmt.Errorf("rows[%d]: is not a table of fields", i+1)
		}
		descriptor, err := trialDescriptor(fields["descriptor"])
		if err != nil {
			return nil, fmt.Errorf("rows[%d]: descriptor: %w", i+1, err)
		}
		fields["descriptor"] = descriptor
		line, err := encodeJSON(fields)
		if err != nil {
			return nil, fmt.Errorf("rows[%d]: %w", i+1, err)
		}
		face, err := m.decoder.Line(matcher.Faces, line)
		if err != nil {
			return nil, fmt.Errorf("rows[%d]: %w", i+1, err)
		}
		if !face.HasID {
			return nil, fmt.Errorf("rows[%d]: face_id is missing: pass the rows through test.faces first", i+1)
		}
		number[face.Object.ID] = i
		var changes []store.Change
		for _, id := range face.Object.Lists {
			changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: id}})
		}
		m.Apply(append(changes, store.Change{Kind: store.PutObject, Object: &face.Object}))
	}
	return number, nil
}

// trialDescriptor makes a descriptor of a list of up to 16 numbers.
func trialDescriptor(v any) (map[string]any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, errors.New("is no list of numbers")
	}
	data := make([]byte, trialLength)
	if len(list) > trialLength {
		return nil, fmt.Errorf("%d numbers are more than %d", len(list), trialLength)
	}
	for i, item := range list {
		f, ok := item.(float64)
		if data[i] = byte(f); !ok || float64(data[i]) != f {
			return nil, fmt.Errorf("%v is not a whole number within 0 and 255", item)
		}
	}
	return map[string]any{"version": float64(trialVersion), "data": base64.StdEncoding.EncodeToString(data)}, nil
}

// ask reads a request of one probe and one candidate set.
func (m *trialMemory) ask(candidates map[string]any, probe any) (*matcher.SubRequest, error) {
	descriptor, err := trialDescriptor(probe)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	set, _ := clone(candidates).(map[string]any)
	if set == nil {
		set = map[string]any{}
	}
	if _, ok := set["filters"]; !ok {
		set["filters"] = map[string]any{}
	}
	if filters, ok := set["filters"].(map[string]any); ok && filters["origin"] == nil {
		filters["origin"] = "faces"
	}
	plain, err := jsonValue(set)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"references": []any{map[string]any{"type": "raw_descriptor", "id": "probe", "data": descriptor}},
		"candidates": []any{plain},
	})
	if err != nil {
		return nil, err
	}
	r, err := m.decoder.Match(wire.JSON, body, matcher.FaceDescriptor)
	if err != nil {
		return nil, err
	}
	return &matcher.SubRequest{
		Reference: &r.References[0], Candidates: &r.Candidates[0].Candidates, Version: m.version,
		RequestID: "1767225600,00000000-0000-4000-8000-000000000000",
	}, nil
}

// trialLocal is the local matcher of the call in progress.
type trialLocal struct{ now *trialMemory }

func (l *trialLocal) Name() string { return "memory" }

func (l *trialLocal) Cost(ctx context.Context, sub *matcher.SubRequest) (float64, string, bool) {
	return l.now.Cost(ctx, sub)
}

func (l *trialLocal) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	return l.now.Match(ctx, subs)
}

func (l *trialLocal) Select(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (matcher.Selection, error) {
	return l.now.Select(ctx, c, account)
}

// matching runs f, a call of the matching side, over rows.
func (t *trial) matching(c *vm.Call, p *plugin, rows []any, candidates map[string]any, probe any,
	f func(ctx context.Context, sub *matcher.SubRequest) error,
) (map[matcher.ID]int, error) {
	if p.matching == nil {
		return nil, errors.New("the plugin is not of kind matching")
	}
	m, err := newTrialMemory(t.clock.Now)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	numbers, err := m.put(rows)
	if err != nil {
		return nil, err
	}
	sub, err := m.ask(candidates, probe)
	if err != nil {
		return nil, err
	}
	if why := p.matching.takes(sub); why != "" {
		return nil, errors.New("the plugin is " + why)
	}
	t.local.now = m
	defer func() { t.local.now = t.store.memory }()
	before := p.failures.Load()
	err = c.Wait(func(ctx context.Context) error {
		return t.do(ctx, func(ctx context.Context) error { return f(ctx, sub) })
	})
	if failed := p.failures.Load(); failed != before {
		p.failures.Store(before) // it is raised: the test knows of it
		err = errors.New(*p.last.Swap(nil))
	}
	return numbers, err
}

func trialCost(c *vm.Call, t *trial, p *plugin) error {
	if !p.hooks["match"] {
		return errors.New("the plugin has no match, and so no cost")
	}
	var probe any
	if c.Has(2) {
		probe = c.List(2)
	}
	var cost any
	_, err := t.matching(c, p, trialRows(c, 3), c.Map(1), probe, func(ctx context.Context, sub *matcher.SubRequest) error {
		matchers, _, release := p.host.Acquire()
		defer release()
		if value, _, ok := matchers[0].Cost(ctx, sub); ok {
			cost = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.Return(cost)
}

func trialRows(c *vm.Call, i int) []any {
	if !c.Has(i) {
		return nil
	}
	return c.List(i)
}

func trialPrefilter(c *vm.Call, t *trial, p *plugin) error {
	if !p.hooks["prefilter"] {
		return errors.New("the plugin has no prefilter")
	}
	rows := c.List(1)
	kept := make([]bool, len(rows))
	var left *memory.Selection
	numbers, err := t.matching(c, p, rows, c.Map(2), nil, func(ctx context.Context, sub *matcher.SubRequest) error {
		whole, err := t.local.now.Select(ctx, sub.Candidates, nil)
		if err != nil {
			return err
		}
		_, prefilters, release := p.host.Acquire()
		defer release()
		narrowed, err := prefilters[0].Narrow(ctx, sub, whole)
		if err != nil {
			return err
		}
		left, err = selectionOf(narrowed)
		return err
	})
	if err != nil {
		return err
	}
	for r := range left.Rows() {
		kept[numbers[left.Object(r).ID]] = true
	}
	result := []any{}
	for i, row := range rows {
		if kept[i] {
			result = append(result, row)
		}
	}
	return c.Return(result)
}

func trialMatch(c *vm.Call, t *trial, p *plugin) error {
	if !p.hooks["match"] {
		return errors.New("the plugin has no match")
	}
	rows := c.List(1)
	var result matcher.Result
	numbers, err := t.matching(c, p, rows, c.Map(3), c.List(2), func(ctx context.Context, sub *matcher.SubRequest) error {
		matchers, _, release := p.host.Acquire()
		defer release()
		result = matchers[0].Match(ctx, []matcher.SubRequest{*sub})[0]
		return nil
	})
	switch {
	case err != nil:
		return err
	case errors.Is(result.Err, matcher.ErrDeclined):
		return c.Return(nil)
	case result.Err != nil:
		return result.Err
	}
	found := make([]any, len(result.Matches))
	for i, match := range result.Matches {
		row := clone(rows[numbers[match.ID]]).(map[string]any)
		row["distance"], row["similarity"] = match.Distance, match.Similarity
		found[i] = row
	}
	return c.Return(found)
}

func trialMatchModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "faces", Params: []string{"rows: table[]"}, Returns: []string{"table[]"},
		Doc: "Fills in what faces need: face_id, and a descriptor (up to 16 numbers within 0 and 255; the rest is 0). Their fields are those of POST /1/faces.",
		Run: func(c *vm.Call) error {
			rows := c.List(1)
			for i, row := range rows {
				fields, ok := row.(map[string]any)
				if _, empty := row.(vm.Empty); empty {
					fields, ok = map[string]any{}, true
				}
				if !ok {
					return fmt.Errorf("rows[%d]: is not a table of fields", i+1)
				}
				if fields["face_id"] == nil {
					fields["face_id"] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
				}
				if fields["descriptor"] == nil {
					fields["descriptor"] = []any{0.0}
				}
				rows[i] = fields
			}
			return c.Return(rows)
		},
	}}}
}
