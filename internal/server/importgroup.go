package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
)

// Bounds of a group. A group is stored by one commit. Large groups cost less per
// line, but an import holds two groups in memory, so only a few groups may be large
// at a time. A large group leaves half of the room for lines to the group that is
// built while it is committed.
const (
	groupBytesMin  = 4 << 20
	groupBytesMax  = lineRoom / 2
	groupAge       = time.Second // a group is stored at the latest this long after its first line
	largeGroupsMax = 8
)

// importer stores blocks of lines in groups. One group is committed while the next
// one is built.
type importer struct {
	x           *exchange
	room        *importRoom   // of lines
	largeGroups chan struct{} // holds one value per large group, counted over all imports
	stopped     chan struct{} // closed when nothing more can be stored

	group  lineGroup
	commit chan lineGroup // receives the group after its commit; nil: no commit is running

	accepted, rejected int
	errors             []lineError // at most lineErrorMax, in the order of lines
}

// lineGroup is a group of lines that one commit stores.
type lineGroup struct {
	bytes   int  // of lineRoom, given back when the group is stored
	large   bool // the group counts in importer.largeGroups
	lines   []store.ImportLine
	numbers []int       // line numbers of lines
	faults  int         // number of rejected lines
	errors  []lineError // of rejected lines, at least the first lineErrorMax
	results []error     // of lines, after the commit
}

// storeBlocks stores all blocks. After an error it drops the rest.
func (im *importer) storeBlocks(ctx context.Context, blocks <-chan *lineBlock) error {
	err := im.storeGroups(ctx, blocks)
	if err != nil {
		close(im.stopped)
		for range blocks { // so that readBlocks ends
		}
	}
	err = cmp.Or(err, im.finishCommit())
	im.releaseGroup(&im.group)
	return err
}

// storeGroups stores a group when it is large enough or old enough, when the reader
// waits for room, and at the end.
func (im *importer) storeGroups(ctx context.Context, blocks <-chan *lineBlock) error {
	old := time.NewTimer(groupAge) // fires when the group is old enough
	defer old.Stop()
	short := false // whether the reader waits for room
	for {
		select {
		case b, more := <-blocks:
			if !more {
				return im.commitGroup(ctx)
			}
			if im.group.empty() {
				old.Reset(groupAge)
			}
			if err := im.addBlock(b); err != nil {
				return err
			}
			if short && len(blocks) == 0 {
				break
			}
			if im.group.bytes < groupBytesMin || im.group.bytes < groupBytesMax && im.enlarge() {
				continue
			}
		case <-im.room.short:
			if short = true; len(blocks) > 0 {
				continue // add these blocks to the group first
			}
		case <-old.C:
		}
		short = false
		if err := im.commitGroup(ctx); err != nil {
			return err
		}
	}
}

// enlarge marks the group as large if not too many groups are large. It reports
// whether the group is large.
func (im *importer) enlarge() bool {
	if im.group.large {
		return true
	}
	select {
	case im.largeGroups <- struct{}{}:
		im.group.large = true
	default:
	}
	return im.group.large
}

// releaseGroup gives back the memory of a group.
func (im *importer) releaseGroup(g *lineGroup) {
	im.room.release(g.bytes)
	if g.large {
		<-im.largeGroups
	}
	g.bytes, g.large, g.lines = 0, false, nil
}

// empty reports whether the group has no lines to store and no errors to report.
func (g *lineGroup) empty() bool { return len(g.lines) == 0 && g.faults == 0 }

// addBlock waits until b is decoded and adds it to the group.
func (im *importer) addBlock(b *lineBlock) error {
	<-b.done
	g := &im.group
	g.bytes += b.room
	g.lines = append(g.lines, b.lines...)
	g.numbers = append(g.numbers, b.numbers...)
	g.faults += b.faults
	if len(g.errors) < lineErrorMax {
		g.errors = append(g.errors, b.errors...)
	}
	return b.err
}

// commitGroup waits for the previous commit and starts to commit the group.
func (im *importer) commitGroup(ctx context.Context) error {
	if err := im.finishCommit(); err != nil || im.group.empty() {
		return err
	}
	g, done := im.group, make(chan lineGroup, 1)
	im.group, im.commit = lineGroup{}, done
	go func() { // finishCommit waits for it
		if len(g.lines) > 0 {
			ctx, cancel := context.WithTimeout(ctx, im.x.limits.RequestTimeout)
			defer cancel()
			g.results = im.x.options.Store.Import(ctx, im.x.account, g.lines)
		}
		im.releaseGroup(&g)
		done <- g
	}()
	return nil
}

// finishCommit waits for the commit and counts its results. It returns an error when
// the store cannot store more.
func (im *importer) finishCommit() error {
	if im.commit == nil {
		return nil
	}
	g := <-im.commit
	im.commit = nil
	for i, err := range g.results {
		if err == nil {
			im.accepted++
			continue
		}
		switch matcher.CodeOf(err) {
		case matcher.CodeFull, matcher.CodeUnavailable, matcher.CodeDeadline, matcher.CodeInternal:
			return err // the whole group has this error
		}
		g.faults++
		g.errors = append(g.errors, lineError{g.numbers[i], asError(err).For(im.x.account).Detail})
	}
	im.rejected += g.faults
	slices.SortFunc(g.errors, func(a, b lineError) int { return a.line - b.line })
	im.errors = append(im.errors, g.errors[:min(len(g.errors), lineErrorMax-len(im.errors))]...)
	return nil
}

// faults returns the errors for the answer.
func (im *importer) faults() []map[string]any {
	all := make([]map[string]any, len(im.errors))
	for i, e := range im.errors {
		all[i] = map[string]any{"line": e.line, "detail": e.detail}
	}
	return all
}
