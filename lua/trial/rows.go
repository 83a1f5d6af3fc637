package trial

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// The descriptors of tests. They are short, so that a test can write them as lists.
const (
	trialVersion     = 1 // the version of face descriptors
	trialBodyVersion = 2
	trialLength      = 16
)

// trialMemory is a local matcher with the rows of one call.
type trialMemory struct {
	*memory.Memory
	decoder *wire.Decoder
	version *matcher.Version
}

// newTrialMemory returns an empty trialMemory, which the caller must close. meta are the
// declared fields of the meta of events.
func newTrialMemory(now func() time.Time, meta []matcher.MetaField) (*trialMemory, error) {
	similarity := matcher.Calibration{Midpoint: 1000, Steepness: 0.01}
	registry, err := matcher.NewRegistry([]matcher.Version{
		{Number: trialVersion, Length: trialLength, Scale: 1, Similarity: similarity},
		{Number: trialBodyVersion, Type: matcher.BodyDescriptor, Length: trialLength, Scale: 1, Similarity: similarity},
	})
	if err != nil {
		return nil, err
	}
	m, err := memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 1, Cost: lua.CostDefault, Now: now, MetaFields: meta})
	if err != nil {
		return nil, err
	}
	limits := wire.Limits{References: 1000, Candidates: 1, Result: ns.RowsMax, Offset: ns.RowsMax, FilterValues: ns.RowsMax}
	return &trialMemory{m, &wire.Decoder{Registry: registry, Limits: limits, Now: now, MetaFields: meta}, registry.Version(trialVersion)}, nil
}

// putRows stores faces and events. rows have the fields of a request, except that
// descriptors are lists of numbers. putRows returns the index in rows of each ID.
func (m *trialMemory) putRows(rows []any) (map[matcher.ID]int, error) {
	index := map[matcher.ID]int{}
	for i, row := range rows {
		origin, line, err := trialLine(row)
		if err != nil {
			return nil, fmt.Errorf("rows[%d]: %w", i+1, err)
		}
		in, err := m.decoder.Lines(origin).Decode(line)
		if err != nil {
			return nil, fmt.Errorf("rows[%d]: %w", i+1, err)
		}
		if !in.HasID {
			return nil, fmt.Errorf("rows[%d]: %s_id is missing: pass the rows through test.%s first", i+1, origin.Singular(), origin)
		}
		index[in.Object.ID] = i
		var changes []store.Change
		for _, id := range in.Object.Lists {
			changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: id}})
		}
		m.Apply(append(changes, store.Change{Kind: store.PutObject, Object: &in.Object}))
	}
	return index, nil
}

// trialLine returns the origin of a row and the row as JSON.
func trialLine(row any) (matcher.Origin, []byte, error) {
	fields, ok := goval.Clone(row).(map[string]any)
	if !ok {
		return 0, nil, errors.New("is not a table of fields")
	}
	origin := trialOrigin(fields)
	names := map[string]uint32{"descriptor": trialVersion}
	if origin == matcher.Events {
		names = map[string]uint32{"face_descriptor": trialVersion, "body_descriptor": trialBodyVersion}
	}
	for name, version := range names {
		if origin == matcher.Events && fields[name] == nil {
			continue
		}
		descriptor, err := trialDescriptor(fields[name], version)
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", name, err)
		}
		fields[name] = descriptor
	}
	line, err := goval.EncodeJSON(fields)
	return origin, line, err
}

// trialOrigin returns the origin of a row, which follows from the names of its
// descriptors.
func trialOrigin(row any) matcher.Origin {
	fields, _ := row.(map[string]any)
	if fields["face_descriptor"] != nil || fields["body_descriptor"] != nil {
		return matcher.Events
	}
	return matcher.Faces
}

// trialDescriptor returns the descriptor of a list of up to 16 numbers from 0 to 255.
func trialDescriptor(v any, version uint32) (map[string]any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, errors.New("must be a list of numbers")
	}
	data := make([]byte, trialLength)
	if len(list) > trialLength {
		return nil, fmt.Errorf("must have at most %d numbers, got %d", trialLength, len(list))
	}
	for i, item := range list {
		f, ok := item.(float64)
		if data[i] = byte(f); !ok || float64(data[i]) != f {
			return nil, fmt.Errorf("[%d]: must be an integer from 0 to 255, got %v", i+1, item)
		}
	}
	return map[string]any{"version": float64(version), "data": base64.StdEncoding.EncodeToString(data)}, nil
}

// newSubRequest returns the sub-request of one reference and one candidate set. reference
// is the descriptor as a list of numbers; scripts call it probe. If the
// filters have no origin, the first of rows determines it. Besides the fields of a
// candidate set, candidates may have the account_id of the request.
func (m *trialMemory) newSubRequest(candidates map[string]any, reference any, rows []any) (*matcher.SubRequest, error) {
	descriptor, err := trialDescriptor(reference, trialVersion)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	set, _ := goval.Clone(candidates).(map[string]any)
	account, err := trialAccount(set)
	if err != nil {
		return nil, err
	}
	origin := matcher.Faces
	if len(rows) > 0 {
		origin = trialOrigin(rows[0])
	}
	withOrigin(&set, origin)
	plain, err := goval.JSONValue(set)
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
	c := &r.Candidates[0].Candidates
	if given := c.Filter.Account; given != nil && account != nil && *given != *account {
		return nil, matcher.Errorf(matcher.CodeAccountConflict, "candidates[0].filters.account_id: %s is another account than the query's %s", given, account)
	}
	return &matcher.SubRequest{
		Reference: &r.References[0], Candidates: c, Version: m.version, Account: account,
		RequestID: "1767225600,00000000-0000-4000-8000-000000000000",
	}, nil
}

// withOrigin sets the origin of a candidate set, unless its filters have one.
func withOrigin(set *map[string]any, origin matcher.Origin) {
	if *set == nil {
		*set = map[string]any{}
	}
	switch filters := (*set)["filters"].(type) {
	case nil, vm.Empty:
		(*set)["filters"] = map[string]any{"origin": origin.String()}
	case map[string]any:
		if filters["origin"] == nil {
			filters["origin"] = origin.String()
		}
	}
}

// trialAccount removes account_id from options and returns it. It returns nil if
// account_id is missing.
func trialAccount(options map[string]any) (*matcher.ID, error) {
	value, ok := options["account_id"]
	delete(options, "account_id")
	if !ok {
		return nil, nil
	}
	text, isText := value.(string)
	if !isText {
		return nil, fmt.Errorf("account_id: must be a UUID as a string, got %v", value)
	}
	id, err := matcher.ParseID(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("account_id: %w", err)
	case id.IsZero():
		return nil, fmt.Errorf("account_id: must not be the nil UUID %s", id)
	}
	return &id, nil
}

func trialMatchModule() vm.Module {
	const descriptor = "a list of up to 16 integers from 0 to 255; missing ones are 0"
	return vm.Module{Functions: []vm.Function{
		{
			Name: "faces", Params: []string{"rows: table[]"}, Returns: []string{"table[]"},
			Doc: "Returns rows as faces. It adds a face_id and a descriptor (" + descriptor + ") to rows without them. The fields are those of POST /1/faces.",
			Run: func(c *vm.Call) error { return trialFill(c, "face_id", "descriptor") },
		},
		{
			Name: "events", Params: []string{"rows: table[]"}, Returns: []string{"table[]"},
			Doc: "Returns rows as events. It adds an event_id to rows without one, and a face_descriptor to rows without a descriptor. A descriptor is " + descriptor + ". The fields are those of POST /1/events.",
			Run: func(c *vm.Call) error { return trialFill(c, "event_id", "face_descriptor", "body_descriptor") },
		},
	}}
}

// trialFill adds missing ids to rows. It adds the first of descriptors to rows that do
// not have any of them.
func trialFill(c *vm.Call, id string, descriptors ...string) error {
	rows := c.List(1)
	for i, row := range rows {
		fields, ok := row.(map[string]any)
		if _, empty := row.(vm.Empty); empty {
			fields, ok = map[string]any{}, true
		}
		if !ok {
			return fmt.Errorf("rows[%d]: is not a table of fields", i+1)
		}
		if fields[id] == nil {
			fields[id] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		}
		if !slices.ContainsFunc(descriptors, func(name string) bool { return fields[name] != nil }) {
			fields[descriptors[0]] = []any{0.0}
		}
		rows[i] = fields
	}
	return c.Return(rows)
}
