package trial

import (
	"errors"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// trialObjects returns a function that lists the stored objects of an origin.
func trialObjects(o matcher.Origin) vm.Function {
	return vm.Function{
		Name: o.String(), Returns: []string{"table[]"}, Doc: "The stored objects with their descriptors, sorted by id.",
		Run: func(c *vm.Call) error {
			t, err := trialOf(c)
			if err != nil {
				return err
			}
			if t.store == nil {
				return c.Return([]any{})
			}
			all, err := t.store.listObjects(o)
			if err != nil {
				return err
			}
			return c.Return(all)
		},
	}
}

func trialStoreModule() vm.Module {
	return vm.Module{Name: "store", Doc: "The store of the test. It is empty at first.", Functions: []vm.Function{
		trialObjects(matcher.Faces), trialObjects(matcher.Events), trialObjects(matcher.Attributes),
		trialPut(matcher.Faces), trialPut(matcher.Events), trialPut(matcher.Attributes), trialPutList(),
		trialDelete(matcher.Faces), trialDelete(matcher.Events), trialDelete(matcher.Attributes), trialDeleteList(), trialExpire(),
		{
			Name: "down", Params: []string{"reason?: string"}, Doc: "Makes all writes fail with reason. A call without reason ends this. Call it after test.start.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				if t.store == nil {
					return errors.New("there is no store yet: call test.start first")
				}
				t.store.mu.Lock()
				defer t.store.mu.Unlock()
				t.store.down = c.TextOr(1, "")
				return nil
			},
		},
	}}
}

func trialMetricsModule() vm.Module {
	return vm.Module{Functions: []vm.Function{
		{
			Name: "metric", Params: []string{"name: string", "values?: string[]"}, Returns: []string{"number?"},
			Doc: "The value of a metric of ns.metrics, or nil if it has none. For a histogram, it is the number of observations. values are the values of the labels, sorted by the names of the labels.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				var labels []string
				for _, v := range trialRows(c, 2) {
					labels = append(labels, ns.LabelText(v))
				}
				t.meter.mu.Lock()
				defer t.meter.mu.Unlock()
				for _, name := range []string{c.Text(1), c.Text(1) + "_total"} { // a test may use the name of a counter with or without _total
					if v, ok := t.meter.values[metricKey(name, labels)]; ok {
						return c.Return(v)
					}
				}
				return c.Return(nil)
			},
		},
		{
			Name: "resource", Params: []string{"figures: {cpu: number?, rss: integer?, queue: integer?, rows: integer?}"},
			Doc: "Sets the values that ns.resource returns from now on.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				o := &goval.Reader{Map: c.Map(1), Path: "figures."}
				o.RefuseUnknown("cpu", "rss", "queue", "rows")
				t.resources.CPU = time.Duration(o.Number("cpu", t.resources.CPU.Seconds(), 0, 1e9) * float64(time.Second))
				t.resources.RSS = int64(o.Whole("rss", int(t.resources.RSS), 0, 1e15))
				t.resources.Queue = o.Whole("queue", t.resources.Queue, 0, 1e9)
				t.resources.Rows = o.Whole("rows", t.resources.Rows, 0, 1e12)
				return errors.Join(o.Faults...)
			},
		},
	}}
}
