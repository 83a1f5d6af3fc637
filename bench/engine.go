package main

import (
	"fmt"
	"slices"
	"time"

	"nearside/bench/stat"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/simd"
)

// engine is a local matcher with the rows of a dataset.
type engine struct {
	*memory.Memory
	suite  *suite
	data   *dataset
	origin matcher.Origin
	limits limits
}

// contents determines which objects the rows of a dataset become.
type contents struct {
	origin matcher.Origin
	meta   []matcher.MetaField
	before []store.Change                 // lists to which the objects refer
	object func(i int, o *matcher.Object) // sets the fields of row i, except ID and descriptor
}

// applyRows is the number of rows in one call of Apply.
const applyRows = 8192

// faceEngine returns an engine with a dataset as faces. The caller closes it.
func (s *suite) faceEngine(d *dataset, k *simd.Kernel, workers int) (*engine, error) {
	return s.loadEngine(d, d.faces(), k, workers)
}

// loadEngine returns an engine with a dataset as the objects of t. The caller closes it.
func (s *suite) loadEngine(d *dataset, t contents, k *simd.Kernel, workers int) (*engine, error) {
	m, err := memory.New(memory.Options{Registry: s.registry, Kernel: k, Workers: workers, MetaFields: t.meta})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	m.Apply(t.before)
	for lo := 0; lo < d.n; lo += applyRows {
		if err := s.ctx.Err(); err != nil {
			m.Close()
			return nil, err
		}
		m.Apply(d.changes(t, lo, min(lo+applyRows, d.n)))
	}
	s.logf("   loaded %d %s of %d x %s into %s with %d worker(s) in %v",
		d.n, t.origin, d.version.Length, d.version.Encoding, k.Name(), workers, time.Since(start).Round(time.Millisecond))
	return &engine{m, s, d, t.origin, limits{k, workers, s.region}}, nil
}

// faces returns contents with the attributes that the filters of faces select by.
func (d *dataset) faces() contents {
	t := contents{origin: matcher.Faces, object: func(i int, o *matcher.Object) {
		in := listsOf(i, d.n)
		slices.SortFunc(in, matcher.ID.Compare)
		o.CreateTime, o.UserData, o.Lists = timeOf(i), userDataOf(i), in
		o.Age, o.Gender, o.EthnicGroup = matcher.SmallOf(ageOf(i)), matcher.SmallOf(genderOf(i)), matcher.SmallOf(ethnicGroupOf(i))
	}}
	for i := range listPercents {
		t.before = append(t.before, store.Change{Kind: store.PutList, List: &matcher.List{ID: listID(i), CreateTime: firstTime}})
	}
	return t
}

// changes returns the objects of rows lo to hi-1, as puts.
func (d *dataset) changes(t contents, lo, hi int) []store.Change {
	objects, changes := make([]matcher.Object, hi-lo), make([]store.Change, hi-lo)
	for i := lo; i < hi; i++ {
		o := &objects[i-lo]
		o.Origin, o.ID = t.origin, idOf(i)
		t.object(i, o)
		o.Descriptors[d.version.Type] = matcher.Descriptor{Version: d.version.Number, Data: d.row(i)}
		changes[i-lo] = store.Change{Kind: store.PutObject, Object: o}
	}
	return changes
}

// workload is one call of an engine.
type workload struct {
	queries int
	limit   int
	filter  *filter
}

func (w workload) String() string {
	s := fmt.Sprintf("%d queries, limit %d, %s", w.queries, w.limit, w.filter.name)
	if w.filter != everything {
		s += fmt.Sprintf(" %v %%", w.filter.percent)
	}
	return s
}

func (e *engine) candidates(w workload) *matcher.Candidates {
	return &matcher.Candidates{Origin: e.origin, Filter: w.filter.filter, Limit: w.limit, Targets: []string{e.origin.Singular() + "_id"}}
}

// subRequests returns the sub-requests of a workload.
func (e *engine) subRequests(w workload) []matcher.SubRequest {
	c := e.candidates(w)
	subs := make([]matcher.SubRequest, w.queries)
	for i := range subs {
		subs[i] = matcher.SubRequest{
			Reference:  &matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: e.data.version.Number, Data: e.data.query(i)}},
			Candidates: c, Version: e.data.version,
		}
	}
	return subs
}

// minRunTime is the minimum time of a timed run. Short calls are repeated.
const minRunTime = 5 * time.Millisecond

// timedRun compares the results of a workload with the oracle and returns a run of it.
func (e *engine) timedRun(w workload) (stat.Run, error) {
	subs := e.subRequests(w)
	start := time.Now()
	results := e.Match(e.suite.ctx, subs)
	calls := max(1, int(minRunTime/max(1, time.Since(start))))
	if err := e.data.checkResults(w, results); err != nil {
		return nil, fmt.Errorf("%s, %d worker(s), %s: %w", e.Kernel(), e.limits.threads, w, err)
	}
	return func() (float64, error) {
		start := time.Now()
		for range calls {
			for _, r := range e.Match(e.suite.ctx, subs) {
				if r.Err != nil {
					return 0, r.Err
				}
			}
		}
		return time.Since(start).Seconds() / float64(calls), e.suite.ctx.Err()
	}, nil
}

// measureWorkload measures a workload, alternating with the probes, and adds a figure
// to the report. It returns the rounds, whose participants are the probes and the
// workload, and the figure.
func (e *engine) measureWorkload(section string, rounds int, w workload) (*stat.Rounds, figure, error) {
	code, err := e.timedRun(w)
	if err != nil {
		return nil, figure{}, err
	}
	f := e.figure(section, w)
	pairs := float64(f.Compared) * float64(w.queries)
	r, limit, err := e.limits.besideProbes(rounds, e.data.version.Encoding == matcher.Float32,
		float64(f.Compared)*float64(e.data.version.Size()), pairs*float64(e.data.version.Length), code)
	if err != nil {
		return nil, figure{}, err
	}
	f.Seconds = r.Seconds(firstCode)
	f.OfLimit = r.Summary(func(seconds []float64) float64 { return limit(seconds) / seconds[firstCode] })
	e.suite.addFigure(f)
	return r, f, nil
}

func (e *engine) figure(section string, w workload) figure {
	v := e.data.version
	encoding := v.Encoding.String()
	if v.Encoding == matcher.Float32 {
		encoding += " " + v.Metric.String()
	}
	return figure{
		Section: section, Data: e.data.name(), What: w.String(), Kernel: e.Kernel(), Workers: e.limits.threads, Encoding: encoding,
		Dim: v.Length, Rows: e.data.n, Compared: w.filter.count(e.data.n), Queries: w.queries, Limit: w.limit,
	}
}
