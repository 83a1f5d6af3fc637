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
// line, but an import holds three groups in memory, so only a few groups may be large
// at a time. Large groups leave a quarter of the room for lines to the lines that are
// being decoded.
const (
	groupObjectsMin = 2 << 20
	groupObjectsMax = lineRoom / (commitsMax + 2)
	groupCommitMin  = 4 << 20
	groupCommitMax  = commitRoom / commitsMax
	groupAge        = time.Second // a group is stored at the latest this long after its first line
	largeGroupsMax  = 8
	// commitsMax is the maximum number of commits of an import at a time. The store runs
	// one while it writes the one before.
	commitsMax = 2
)

// importer stores blocks of lines in groups. Groups are committed while the next one is
// built.
type importer struct {
	x           *exchange
	room        *importRoom   // of lines
	commits     *importRoom   // of the running commits
	largeGroups chan struct{} // holds one value per large group, counted over all imports
	stopped     chan struct{} // closed when nothing more can be stored

	group   lineGroup
	target  *store.Import
	running []<-chan lineGroup // commits in order; each channel receives the group after its commit

	accepted, rejected int
	errors             []lineError // at most lineErrorMax, in the order of lines
}

// lineGroup is a group of lines that one commit stores.
type lineGroup struct {
	room    int  // reserved bytes of lineRoom, given back when the group is stored
	commit  int  // bytes of commitRoom that the commit needs
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
	for len(im.running) > 0 {
		err = cmp.Or(err, im.finishCommit())
	}
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
			<-b.done
			if im.group.commit+b.cost.commit > groupCommitMax {
				if err := im.commitGroup(ctx); err != nil {
					return err
				}
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
			if !im.groupFull() {
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

// groupFull reports whether the group has reached its size.
func (im *importer) groupFull() bool {
	g := &im.group
	if g.room < groupObjectsMin && g.commit < groupCommitMin {
		return false
	}
	return g.room >= groupObjectsMax || g.commit >= groupCommitMax || !im.enlarge()
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
	im.room.release(g.room)
	if g.large {
		<-im.largeGroups
	}
	g.room, g.large, g.lines = 0, false, nil
}

// empty reports whether the group has no lines to store and no errors to report.
func (g *lineGroup) empty() bool { return len(g.lines) == 0 && g.faults == 0 }

// addBlock adds a decoded block to the group.
func (im *importer) addBlock(b *lineBlock) error {
	g := &im.group
	g.room += b.room
	g.commit += b.cost.commit
	g.lines = append(g.lines, b.lines...)
	g.numbers = append(g.numbers, b.numbers...)
	g.faults += b.faults
	if len(g.errors) < lineErrorMax {
		g.errors = append(g.errors, b.errors...)
	}
	return b.err
}

// commitGroup starts to commit the group. If too many commits are running, it first waits
// for the oldest one.
func (im *importer) commitGroup(ctx context.Context) error {
	if len(im.running) == commitsMax {
		if err := im.finishCommit(); err != nil {
			return err
		}
	}
	if im.group.empty() {
		return nil
	}
	wait, err := im.startCommit(ctx, &im.group)
	if err != nil {
		return err
	}
	g, done := im.group, make(chan lineGroup, 1)
	im.group, im.running = lineGroup{}, append(im.running, done)
	go func() { // finishCommit waits for it
		g.results = wait()
		im.releaseGroup(&g)
		done <- g
	}()
	return nil
}

// startCommit waits until there is room for the commit of a group, and starts it. wait
// returns the results of the lines.
func (im *importer) startCommit(ctx context.Context, g *lineGroup) (wait func() []error, err error) {
	if len(g.lines) == 0 {
		return func() []error { return nil }, nil
	}
	reserved, err := im.commits.reserve(g.commit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, im.x.limits.RequestTimeout)
	results := im.target.Start(ctx, g.lines)
	return func() []error {
		defer im.commits.release(reserved)
		defer cancel()
		return results()
	}, nil
}

// finishCommit waits for the oldest commit and counts its results. It returns an error
// when the store cannot store more.
func (im *importer) finishCommit() error {
	g := <-im.running[0]
	im.running = im.running[1:]
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
		g.errors = append(g.errors, lineError{g.numbers[i], asError(err).For(im.x.viewer()).Detail})
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
