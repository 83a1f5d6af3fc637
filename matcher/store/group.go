package store

import (
	"fmt"
	"maps"
	"runtime/debug"

	"github.com/cockroachdb/pebble/v2"

	"nearside/matcher"
)

// group holds the transactions that one sync makes durable.
type group struct {
	store    *Store
	before   *group // is not applied yet; nil: none
	alone    bool   // the group takes only one request
	space    diskSpace
	measured bool           // space is set
	ops      []op           // in the order of execution
	bytes    int            // approximate size of ops in a batch
	garbage  int64          // bytes of records that ops delete or replace
	overlay  map[key][]byte // records that ops write; nil: deleted
	delta    digest
	changes  []Change
	records  []AuditRecord // of the transactions; their IDs are set when the write starts
	undo     []undo
	answers  []*request // all requests, including failed ones

	// Set when the write starts.
	after   state         // after the group
	written chan struct{} // closed when the write has ended
	err     error         // of the write, set before written is closed
}

// runRequest runs r and adds its writes to the group, unless it fails. It does nothing if
// the caller has stopped waiting.
func (g *group) runRequest(r *request) {
	if !r.taken.CompareAndSwap(false, true) {
		g.alone = false
		return
	}
	r.ran = true
	g.answers = append(g.answers, r)
	tx := &Tx{store: g.store, group: g}
	fn := r.fn
	r.fn = nil // it may keep much memory, and an Import keeps r
	if r.err = tx.callFunc(fn); r.err == nil {
		tx.setCause(matcher.CauseOf(r.ctx))
		if r.err = g.auditTx(r.ctx, tx); r.err == nil {
			r.err = g.mergeTx(tx)
		}
	}
	if r.err != nil {
		g.store.rollback(tx.undo)
	}
}

// mergeTx adds the writes of tx to the group if the limits admit them.
func (g *group) mergeTx(tx *Tx) error {
	if len(tx.ops) == 0 {
		return nil
	}
	if tx.bytes > txBytesMax {
		return matcher.Errorf(matcher.CodeTooLarge, "one write must have at most %d bytes, got %d", txBytesMax, tx.bytes)
	}
	if !g.measured {
		var err error
		if g.space, err = g.store.measureSpace(); err != nil {
			return err
		}
		g.measured = true
	}
	bytes := tx.bytes + len(tx.changes)*len(key{}) // the second part is the journal's entry
	unwritten := g.bytes
	if g.before != nil {
		unwritten += g.before.bytes
	}
	if err := g.space.admit(unwritten+bytes, tx.grows); err != nil {
		return err
	}
	before := len(g.changes)
	g.changes = append(g.changes, tx.changes...)
	if err := g.store.opts.Applier.Admit(g.changes); err != nil {
		g.changes = g.changes[:before]
		return err
	}
	if tx.record != nil {
		g.records = append(g.records, AuditRecord{Data: tx.record})
	}
	g.delta.addDelta(tx.delta)
	g.bytes += bytes
	g.garbage += tx.garbage
	g.undo = append(g.undo, tx.undo...)
	if g.ops == nil { // the first transaction of a group is not copied
		g.ops, g.overlay = tx.ops, tx.local
		return nil
	}
	g.ops = append(g.ops, tx.ops...)
	maps.Copy(g.overlay, tx.local)
	return nil
}

// full reports whether the group takes no more transactions.
func (g *group) full() bool {
	return g.alone || g.bytes >= groupBytes || len(g.answers) == groupTx
}

// empty reports whether no request has run.
func (g *group) empty() bool { return len(g.answers) == 0 }

// find returns the record of k that the group, or the group before it, writes; nil: it is
// deleted. It returns false if they do not write k.
func (g *group) find(k key) (rec []byte, ok bool) {
	if rec, ok = g.overlay[k]; !ok && g.before != nil {
		rec, ok = g.before.overlay[k]
	}
	return rec, ok
}

// startWrite starts a goroutine that makes the group durable and then closes written. No
// other group may be written meanwhile.
func (g *group) startWrite() {
	g.written = make(chan struct{})
	if len(g.ops) == 0 {
		close(g.written)
		return
	}
	s := g.store
	g.after = s.state
	g.after.commits++
	g.after.digest.addDelta(g.delta)
	g.ops = append(g.ops, op{metaState, g.after.append(nil)})
	g.addRecords()
	if s.sealer != nil {
		g.ops = append(g.ops, op{journalKey(g.after.commits), appendJournal(nil, g.delta, g.changes)})
	}
	s.opts.Applier.Hold()
	go func() { // the writer waits for it, unless the store is poisoned
		defer func() {
			if r := recover(); r != nil {
				s.poison.fail(fmt.Errorf("the writer panicked: %v\n%s", r, debug.Stack()))
			}
			close(g.written)
		}()
		g.err = g.writeOps()
	}()
}

// acknowledge records that the group is durable.
func (g *group) acknowledge() {
	if len(g.ops) == 0 {
		return
	}
	s := g.store
	s.state = g.after
	if _, err := s.committed.WriteAt([]byte(committedText(s.state.commits)), 0); err != nil {
		s.opts.Warn("store: the number of the last commit cannot be written; the next start could not detect a truncated log", "error", err)
	}
}

// apply passes the changes of a durable group to the applier.
func (g *group) apply() {
	if len(g.ops) == 0 {
		return
	}
	s := g.store
	if len(g.records) > 0 {
		s.opts.Auditor.Copy(g.records)
	}
	s.applyChanges(g.changes)
	s.sealer.noteChanges(max(len(g.changes), 1)) // a commit of values has no changes, but an entry in the journal
	s.reclaimer.noteGarbage(g.garbage)
}

// answerAll returns the results to the callers. Failed requests are answered only now,
// too, because their error may depend on writes of the group.
func (g *group) answerAll() {
	for _, r := range g.answers {
		close(r.done)
	}
}

// writeOps makes ops durable, all or none. If it returns an error and the store is
// not poisoned, none is durable. If it is unknown whether they are durable, it
// poisons the store.
func (g *group) writeOps() error {
	if g.bytes >= g.store.opts.tableBytes && !g.store.viaLog.Load() {
		return g.store.ingest(g.ops)
	}
	b := g.store.db.NewBatch()
	for i := range g.ops {
		if op := &g.ops[i]; op.rec == nil {
			_ = b.Delete(op.key[:], nil) // never fails for a batch without an index
		} else {
			_ = b.Set(op.key[:], op.rec, nil)
		}
	}
	if err := g.store.db.Apply(b, pebble.Sync); err != nil {
		g.store.poison.fail(fmt.Errorf("commit: %w", err))
		return err
	}
	_ = b.Close() // releases the memory; never fails
	return nil
}

// rollback reverts the group and makes err the result of all its requests.
func (g *group) rollback(err error) {
	g.store.rollback(g.undo)
	for _, r := range g.answers {
		r.err = err
	}
}

// applyChanges passes changes to the applier, puts to the observer, and then all changes
// to the watcher.
func (s *Store) applyChanges(changes []Change) {
	s.opts.Applier.Apply(changes)
	if s.opts.Observer != nil {
		for i := range changes {
			if changes[i].Kind == PutObject {
				s.opts.Observer.Stored(changes[i].Object)
			}
		}
	}
	if s.opts.Watcher != nil {
		s.opts.Watcher.Changed(changes)
	}
}
