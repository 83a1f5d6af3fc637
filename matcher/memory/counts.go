package memory

import (
	"context"
	"fmt"
	"runtime"

	"nearside/matcher"
	"nearside/matcher/memory/scan"
)

// slotsFirst is the number of slots for the values of groups in the first scan. A scan that
// finds more values than fit is repeated with slotsFactor times as many slots, so the memory
// for a count follows the number of values.
const (
	slotsFirst  = 1 << 16
	slotsFactor = 8
)

// counts counts the rows, or the groups, of the sub-requests that share a selection.
type counts struct {
	searches []*scan.Search // of the wave, by sub-request, or the only one
	slots    int            // number of slots of each search
	reserved int            // bytes that are reserved for the slots of all searches of a wave
	common   *int           // the count that all sub-requests have; nil: not known yet, or they differ
}

// scans reports whether the rows or groups of a sub-request must be counted by a scan.
func (c *counts) scans(sub *matcher.SubRequest) bool {
	set := sub.Candidates
	return set.Count && (set.Threshold > 0 || set.Group != nil)
}

// same reports whether all sub-requests of a wave have the same count: all rows pass, and
// none is left out.
func (c *counts) same(w *wave) bool {
	set := w.subs[0].Candidates
	return set.Threshold == 0 && !set.ExcludeSelf
}

// prepare adds the searches that count to the job of a wave.
func (c *counts) prepare(ctx context.Context, w *wave) error {
	c.searches = nil
	if !c.scans(w.subs[0]) || c.common != nil {
		return nil
	}
	subs := w.subs
	if c.same(w) {
		subs = subs[:1]
	}
	c.slots = max(c.slots, min(slotsFirst, scan.Slots(w.job.Rows)))
	if err := c.reserve(ctx, w, len(subs)); err != nil {
		return err
	}
	rows := len(w.job.Searches)
	for _, sub := range subs {
		s := scan.NewCount(w.rows.Snapshot(), sub, w.farthest, c.slots)
		c.searches = append(c.searches, s)
		w.job.Add(s)
	}
	w.job.Counts = len(w.job.Searches) - rows
	return nil
}

// reserve reserves memory for the slots of n searches.
func (c *counts) reserve(ctx context.Context, w *wave, n int) error {
	by := w.subs[0].Candidates.Group
	bytes := n * c.slots * scan.SlotBytes
	if by == nil || bytes <= c.reserved {
		return nil
	}
	if err := matcher.ReserveText(ctx, bytes-c.reserved); err != nil {
		return matcher.Errorf(matcher.CodeOf(err), "count: counting the groups by %s needs %d bytes: %w", by.By.Name, bytes, err)
	}
	c.reserved = bytes
	return nil
}

// finish sets the counts of the results of a wave, whose job is done.
func (c *counts) finish(ctx context.Context, w *wave) error {
	if !w.subs[0].Candidates.Count {
		return nil
	}
	scans := 1
	for c.overflowed() {
		if err := c.repeat(ctx, w); err != nil {
			return err
		}
		scans++
	}
	for i, sub := range w.subs {
		step := ""
		switch r := &w.results[i]; {
		case !c.scans(sub):
			r.Count = w.job.Rows - w.excludedRows(sub)
			step = "count: every compared row counts"
		case c.common == nil && c.same(w):
			n, _ := c.searches[0].Count()
			c.common = &n
			fallthrough
		case c.common != nil:
			r.Count = *c.common
			step = "count: counted once for all references"
		default:
			r.Count, _ = c.searches[i].Count()
			step = "count: counted in the same scan"
		}
		if scans > 1 {
			step += fmt.Sprintf("; scanned %d times, because there are many groups", scans)
		}
		if sub.Explain {
			w.results[i].Scan.Steps = append(w.results[i].Scan.Steps, step)
		}
	}
	return nil
}

// overflowed reports whether a search has found more values than it has room for.
func (c *counts) overflowed() bool {
	for _, s := range c.searches {
		if _, ok := s.Count(); !ok {
			return true
		}
	}
	return false
}

// repeat counts again, with more slots, where there was too little room.
func (c *counts) repeat(ctx context.Context, w *wave) error {
	c.slots = min(c.slots*slotsFactor, scan.Slots(w.job.Rows))
	if err := c.reserve(ctx, w, len(c.searches)); err != nil {
		return err
	}
	j := scan.NewJob(w.rows, w.subs[0].Version)
	j.Account, j.Begun = w.job.Account, true
	for i, s := range c.searches {
		if _, ok := s.Count(); !ok {
			c.searches[i] = scan.NewCount(w.rows.Snapshot(), w.subs[i], w.farthest, c.slots)
			j.Add(c.searches[i])
		}
	}
	return w.scheduler.Run(ctx, j)
}

// excludedRows returns how many of the compared rows are left out.
func (w *wave) excludedRows(sub *matcher.SubRequest) int {
	ids := sub.Excluded()
	if ids == nil {
		return 0
	}
	defer runtime.KeepAlive(w.rows)
	return (&Selection{w.Memory, w.rows}).ByID(ids).Comparable(sub.Version)
}
