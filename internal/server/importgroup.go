package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
)

// Bounds of a group, which is one commit. Large groups are stored at less cost
// per line, but an import holds two of them; so only a few groups at a time are
// large.
const (
	groupBytesMin  = 4 << 20
	groupBytesMax  = 48 << 20
	groupAge       = time.Second // from its first line on, so that a slow stream is stored too
	largeGroupsMax = 8
)

// importer stores blocks of lines in groups. A group is committed while the
// next one is made; only one is under way at a time.
type importer struct {
	x       *exchange
	room    *importRoom
	large   chan struct{} // holds one for each large group
	stopped chan struct{} // closed when nothing can be stored any more

	group  lineGroup
	commit chan lineGroup // of the group under way; nil: none is

	accepted, rejected int
	errors             []lineError // the first lineErrorMax, in the order of lines
}

// lineGroup is what one commit stores.
type lineGroup struct {
	bytes   int  // of memory, about
	room    int  // bytes of the importRoom that go back when the group is stored
	large   bool // it counts in importer.large
	lines   []store.ImportLine
	numbers []int
	faults  int         // lines that were rejected so far
	errors  []lineError // of them, the first lineErrorMax and maybe more
	results []error     // of lines, once they are stored
}

// store takes blocks until there are no more, and stores them.
func (im *importer) store(ctx context.Context, blocks <-chan *lineBlock) error {
	err := im.storeAll(ctx, blocks)
	if err != nil {
		close(im.stopped)
		for range blocks { // so that the reader ends
		}
	}
	err = cmp.Or(err, im.settle())
	im.drop(im.group)
	return err
}

func (im *importer) storeAll(ctx context.Context, blocks <-chan *lineBlock) error {
	old := time.NewTimer(groupAge) // the group is
	defer old.Stop()
	for {
		select {
		case b, more := <-blocks:
			if !more {
				return im.flush(ctx)
			}
			if im.group.bytes == 0 {
				old.Reset(groupAge)
			}
			if err := im.take(b); err != nil {
				return err
			}
			if im.group.bytes < groupBytesMin || im.group.bytes < groupBytesMax && im.enlarge() {
				continue
			}
		case <-old.C:
		}
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
}

// enlarge reports whether the group may become large.
func (im *importer) enlarge() bool {
	if im.group.large {
		return true
	}
	select {
	case im.large <- struct{}{}:
		im.group.large = true
	default:
	}
	return im.group.large
}

// drop gives back what a group holds.
func (im *importer) drop(g lineGroup) {
	im.room.give(g.room)
	if g.large {
		<-im.large
	}
}

// take waits for b and adds it to the group.
func (im *importer) take(b *lineBlock) error {
	<-b.done
	g := &im.group
	g.bytes += b.bytes
	g.room += b.room
	g.lines = append(g.lines, b.lines...)
	g.numbers = append(g.numbers, b.numbers...)
	g.faults += b.faults
	if len(g.errors) < lineErrorMax {
		g.errors = append(g.errors, b.errors...)
	}
	return b.err
}

// flush waits for the group under way and begins to commit the next one.
func (im *importer) flush(ctx context.Context) error {
	if err := im.settle(); err != nil || im.group.bytes == 0 {
		return err
	}
	g, done := im.group, make(chan lineGroup, 1)
	im.group, im.commit = lineGroup{}, done
	go func() { // settle waits for it
		if len(g.lines) > 0 {
			ctx, cancel := context.WithTimeout(ctx, im.x.limits.RequestTimeout)
			defer cancel()
			g.results = im.x.server.Store.Import(ctx, im.x.account, g.lines)
		}
		done <- g
	}()
	return nil
}

// settle counts what became of the group under way. It returns an error when
// the store cannot take more.
func (im *importer) settle() error {
	if im.commit == nil {
		return nil
	}
	g := <-im.commit
	im.commit = nil
	im.drop(g)
	for i, err := range g.results {
		if err == nil {
			im.accepted++
			continue
		}
		switch matcher.CodeOf(err) {
		case matcher.CodeFull, matcher.CodeUnavailable, matcher.CodeDeadline, matcher.CodeInternal:
			return err // of the whole group
		}
		g.faults++
		g.errors = append(g.errors, lineError{g.numbers[i], asError(err).Detail})
	}
	im.rejected += g.faults
	slices.SortFunc(g.errors, func(a, b lineError) int { return a.line - b.line })
	im.errors = append(im.errors, g.errors[:min(len(g.errors), lineErrorMax-len(im.errors))]...)
	return nil
}

// faults are the errors that the answer shows.
func (im *importer) faults() []map[string]any {
	all := make([]map[string]any, len(im.errors))
	for i, e := range im.errors {
		all[i] = map[string]any{"line": e.line, "detail": e.detail}
	}
	return all
}
