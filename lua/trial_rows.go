package lua

import (
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
	m, err := memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 1, Cost: costDefault, Now: now})
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
