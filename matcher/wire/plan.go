package wire

import "math"

// Plan explains how an item of an answer was computed (docs/api.md,
// Explain).
type Plan struct {
	Matchers         []PlanMatcher
	Prefilters       []PlanPrefilter
	Hooks            []PlanHook // the hooks request and results of plugins, in the order in which they ran
	PluginOrder      bool       // whether the rows have the order of a plugin
	RowsSelected     int        // rows that pass the filters
	RowsOtherVersion int        // selected rows without a descriptor of the type and version
	RowsScanned      int        // selected rows with such a descriptor; these are compared
	Kernel           string
	SharedWith       int      // other sub-requests in the same passes
	Steps            []string // what was done for group, offset, count and exclude_self
	Milliseconds     float64
}

// PlanMatcher is a matcher that was asked for its cost.
type PlanMatcher struct {
	Name   string
	Cost   float64
	Chosen bool
	Reason string // why it was or was not chosen; may be empty
}

// PlanPrefilter is a prefilter that narrowed the candidate set.
type PlanPrefilter struct {
	Plugin        string
	Before, After int // rows
	Milliseconds  float64
}

// PlanHook is a hook of a plugin that saw the request or the rows of the answer.
type PlanHook struct {
	Plugin, Hook string
	Changes      []string // what it changed, as texts for people
	Milliseconds float64
}

// plan writes p, or null if p is nil.
func (w *Writer) plan(p *Plan) {
	w.Key("plan")
	if p == nil {
		w.Null()
		return
	}
	w.Object()
	w.Key("matchers")
	w.Array(len(p.Matchers))
	for _, m := range p.Matchers {
		w.Object()
		w.Key("name")
		w.String(m.Name)
		w.Key("cost")
		w.Float(m.Cost)
		w.Key("chosen")
		w.Bool(m.Chosen)
		w.Key("reason")
		w.String(m.Reason)
		w.EndObject()
	}
	w.EndArray()
	w.Key("prefilters")
	w.Array(len(p.Prefilters))
	for _, f := range p.Prefilters {
		w.Object()
		w.Key("plugin")
		w.String(f.Plugin)
		w.Key("before")
		w.Int(int64(f.Before))
		w.Key("after")
		w.Int(int64(f.After))
		w.Key("ms")
		w.Float(f.Milliseconds)
		w.EndObject()
	}
	w.EndArray()
	w.planHooks(p)
	w.Key("rows_selected")
	w.Int(int64(p.RowsSelected))
	w.Key("rows_other_version")
	w.Int(int64(p.RowsOtherVersion))
	w.Key("rows_scanned")
	w.Int(int64(p.RowsScanned))
	w.Key("kernel")
	w.String(p.Kernel)
	w.Key("shared_with")
	w.Int(int64(p.SharedWith))
	if p.Steps != nil {
		w.Key("steps")
		writeList(w, p.Steps)
	}
	w.Key("ms")
	w.Float(p.Milliseconds)
	w.EndObject()
}

// planHooks writes what hooks of plugins have changed. It writes nothing if no hook ran.
func (w *Writer) planHooks(p *Plan) {
	if p.Hooks != nil {
		w.Key("hooks")
		w.Array(len(p.Hooks))
		for _, h := range p.Hooks {
			w.Object()
			w.Key("plugin")
			w.String(h.Plugin)
			w.Key("hook")
			w.String(h.Hook)
			w.Key("changes")
			writeList(w, h.Changes)
			w.Key("ms")
			w.Float(h.Milliseconds)
			w.EndObject()
		}
		w.EndArray()
	}
	if p.PluginOrder {
		w.Key("order")
		w.String("plugin")
	}
}

// answerPlan reads a plan as a client does. A field that is absent or null is
// zero.
func (v value) answerPlan(p *Plan) error {
	return v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "matchers":
			err = each(v, &p.Matchers, value.planMatcher)
		case "prefilters":
			err = each(v, &p.Prefilters, value.planPrefilter)
		case "hooks":
			err = each(v, &p.Hooks, value.planHook)
		case "order":
			var order string
			order, err = v.text()
			p.PluginOrder = order == "plugin"
		case "rows_selected":
			p.RowsSelected, err = v.count()
		case "rows_other_version":
			p.RowsOtherVersion, err = v.count()
		case "rows_scanned":
			p.RowsScanned, err = v.count()
		case "kernel":
			p.Kernel, err = v.keptText()
		case "shared_with":
			p.SharedWith, err = v.count()
		case "steps":
			err = each(v, &p.Steps, value.planText)
		case "ms":
			p.Milliseconds, err = v.finite()
		}
		return err
	})
}

func (v value) planMatcher(m *PlanMatcher) error {
	return v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "name":
			m.Name, err = v.keptText()
		case "cost":
			m.Cost, err = v.finite()
		case "chosen":
			m.Chosen, err = v.boolean()
		case "reason":
			m.Reason, err = v.keptText()
		}
		return err
	})
}

func (v value) planPrefilter(f *PlanPrefilter) error {
	return v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "plugin":
			f.Plugin, err = v.keptText()
		case "before":
			f.Before, err = v.count()
		case "after":
			f.After, err = v.count()
		case "ms":
			f.Milliseconds, err = v.finite()
		}
		return err
	})
}

func (v value) planHook(h *PlanHook) error {
	return v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "plugin":
			h.Plugin, err = v.keptText()
		case "hook":
			h.Hook, err = v.keptText()
		case "changes":
			err = each(v, &h.Changes, value.planText)
		case "ms":
			h.Milliseconds, err = v.finite()
		}
		return err
	})
}

// planText reads a text for people.
func (v value) planText(text *string) (err error) {
	*text, err = v.keptText()
	return err
}

// count returns an integer of at least 0.
func (v value) count() (int, error) {
	n, err := v.integer(0, math.MaxInt)
	return int(n), err
}
