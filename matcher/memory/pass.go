package memory

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"

	"nearside/matcher"
)

// probesMax is the most references that share a pass: it bounds what the
// heaps of all workers need.
const probesMax = 64

// taskBytes is how many descriptor bytes a task compares, over all its probes:
// about a millisecond at memory speed.
const taskBytes = 16 << 20

// pass is one scan of a selection for several probes of one version.
type pass struct {
	m         *Memory
	selection *Selection
	version   *matcher.Version
	parts     []span
	tasks     []int // where in parts each task ends
	rows      int   // selected rows that have a descriptor of the version
}

// newPass splits a selection into tasks for workers. probes counts those that
// a task serves.
func (m *Memory) newPass(s *Selection, v *matcher.Version, probes int) *pass {
	p := &pass{m: m, selection: s, version: v}
	spans := p.spans()
	most := max(1024, taskBytes/(v.Size()*probes)) &^ 63
	touched := 0
	for i := range spans {
		touched += spans[i].rows()
	}
	p.parts = make([]span, 0, len(spans)+touched/most)
	p.tasks = make([]int, 0, 1+touched/(most-64))
	room := most
	for _, sp := range spans {
		for sp.rows() > room {
			var head span
			head, sp = sp.split(room)
			p.parts = append(p.parts, head)
			p.tasks = append(p.tasks, len(p.parts))
			room = most
		}
		p.parts = append(p.parts, sp)
		if room = (room - sp.rows()) &^ 63; room == 0 {
			p.tasks = append(p.tasks, len(p.parts))
			room = most
		}
	}
	if room < most {
		p.tasks = append(p.tasks, len(p.parts))
	}
	return p
}

// task returns the parts of task i.
func (p *pass) task(i int) []span {
	lo := 0
	if i > 0 {
		lo = p.tasks[i-1]
	}
	return p.parts[lo:p.tasks[i]]
}

// split cuts s behind rows, a multiple of 64 below its own number.
func (s span) split(rows int) (head, tail span) {
	head, tail = s, s
	if s.offsets != nil {
		head.offsets, tail.offsets = s.offsets[:rows], s.offsets[rows:]
	} else {
		head.hi, tail.lo = s.lo+rows, s.lo+rows
	}
	return head, tail
}

// spans lists the chunks of the version with their selected rows.
func (p *pass) spans() []span {
	s := p.selection
	table := s.snap.tables[s.origin]
	if s.rows != nil && s.n*sparse < s.snap.live(s.origin) {
		return p.sparseSpans(table)
	}
	const perChunk = chunkRowsMax / 64
	var dense []uint64
	if s.rows != nil {
		dense = make([]uint64, len(table)*perChunk)
		s.rows.WriteDenseTo(dense)
	}
	spans := make([]span, 0, len(table))
	for i := range table {
		v := &table[i]
		if v.live() == 0 || v.versions[p.version.Type] != p.version {
			continue
		}
		sp := span{view: v, base: uint32(i) << 16, hi: v.n}
		switch {
		case dense != nil:
			sp.mask = dense[i*perChunk : (i+1)*perChunk]
			n := s.rows.CardinalityInRange(uint64(sp.base), uint64(sp.base)+chunkRowsMax)
			if n == 0 {
				continue
			}
			p.rows += int(n)
		case v.dead != nil:
			sp.mask = make([]uint64, (v.n+63)/64)
			fill(sp.mask, v.n)
			for w := range sp.mask {
				sp.mask[w] &^= v.dead[w]
			}
			p.rows += v.live()
		default:
			p.rows += v.n
		}
		spans = append(spans, sp)
	}
	return spans
}

// sparseSpans lists the rows themselves, chunk by chunk.
func (p *pass) sparseSpans(table []view) []span {
	rows := p.selection.rows.ToArray()
	var spans []span
	for len(rows) > 0 {
		i := rows[0] >> 16
		n, _ := slices.BinarySearch(rows, (i+1)<<16)
		if i == 1<<16-1 {
			n = len(rows)
		}
		if v := &table[i]; v.versions[p.version.Type] == p.version {
			spans = append(spans, span{view: v, base: i << 16, offsets: rows[:n]})
			p.rows += n
		}
		rows = rows[n:]
	}
	return spans
}

// run scans for probes and returns the hits of each in its order.
func (p *pass) run(ctx context.Context, probes []probe) ([][]hit, error) {
	var next atomic.Int64
	workers := min(p.m.workers.pool.Cap(), len(p.tasks))
	scanners := make([]*scanner, workers)
	err := p.m.workers.each(workers, func(i int) {
		w := &scanner{kernel: p.m.options.Kernel, tops: make([]topK, len(probes))}
		for j := range probes {
			w.tops[j].probe = &probes[j]
		}
		scanners[i] = w
		for n := int(next.Add(1) - 1); n < len(p.tasks); n = int(next.Add(1) - 1) {
			parts := p.task(n)
			for j := range parts {
				w.scan(ctx, &parts[j], p.version.Type)
			}
		}
	})
	runtime.KeepAlive(p.selection.snap) // the kernels saw only addresses
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	found := make([][]hit, len(probes))
	for j := range probes {
		var all []hit
		for _, w := range scanners {
			all = append(all, w.tops[j].hits...)
		}
		slices.SortFunc(all, probes[j].compare)
		found[j] = all[:min(len(all), probes[j].limit)]
	}
	return found, nil
}
