package audit

import (
	"context"
	"encoding/binary"
	"net/http"

	"nearside/matcher"
	"nearside/matcher/store"
)

// addEntry writes the line of an entry at once. The caller holds l.mu.
func (l *Log) addEntry(e *Entry, status int) error {
	if _, _, err := l.addToBatch(e, status); err != nil {
		return err
	}
	return l.writeBatch()
}

// contentKept is the largest size of a buffer that is used again.
const contentKept = 64 << 10

// writeLines writes the lines with the given contents, all or none. The caller holds l.mu.
func (l *Log) writeLines(contents [][]byte) error {
	if err := l.writeBatch(); err != nil {
		return err
	}
	text, head := l.encode(contents)
	return l.writeText(text, head, len(contents))
}

// writeText appends lines to the current file, or to a new one if they would make it too
// large. The caller holds l.mu.
func (l *Log) writeText(text []byte, head Head, lines int) error {
	if l.size > 0 && l.size+int64(len(text)) > l.maxBytes {
		if err := l.rotate(); err != nil {
			l.setFault(err)
			return l.refusal()
		}
	}
	return l.appendText(text, head, lines)
}

// encode returns the lines with the given contents, and the head after them. The text is
// valid until the next call.
func (l *Log) encode(contents [][]byte) (text []byte, head Head) {
	text, head = l.buffer[:0], l.head
	for _, content := range contents {
		text, head = l.chain.appendLine(text, head, content)
	}
	if cap(text) <= batchBytes {
		l.buffer = text
	}
	return text, head
}

// appendText appends lines to the current file.
func (l *Log) appendText(text []byte, head Head, lines int) error {
	if n, err := l.file.Write(text); err != nil {
		if n > 0 { // the rest of the text is torn, unless it can be removed
			if fault := l.file.Truncate(l.size); fault != nil {
				l.retire(l.file)
				l.file = nil
			}
		}
		l.setFault(err)
		return l.refusal()
	}
	if l.size == 0 {
		l.first = l.head.Seq + 1
	}
	l.size += int64(len(text))
	l.head, l.unkept = head, true
	l.lines.Add(int64(lines))
	return nil
}

// Record returns the record of a transaction for its commit. It implements store.Auditor. It
// runs on the goroutine of the store that runs transactions.
func (l *Log) Record(ctx context.Context, changes []store.Change) ([]byte, error) {
	if l.settings.Load().File == "" {
		return nil, nil
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	e := From(ctx)
	if e == nil {
		e = entryOf(matcher.CauseOf(ctx), l)
	}
	o := outcome{status: e.Status, now: l.now()}
	lists := 0
	for i := range changes {
		var id matcher.ID
		switch c := &changes[i]; c.Kind {
		case store.PutObject:
			id = c.Object.ID
		case store.DeleteObject:
			id = c.ID
		case store.PutList, store.DeleteList:
			lists++
			continue
		}
		if o.count++; len(o.results) < ResultsMax {
			o.results = append(o.results, id)
		}
	}
	if o.count == 0 { // only lists
		o.count = lists
		for i := range changes[:min(len(changes), ResultsMax)] {
			id := changes[i].ID
			if l := changes[i].List; l != nil {
				id = l.ID
			}
			o.results = append(o.results, id)
		}
	}
	if e.Status == http.StatusOK && len(changes) == 1 && changes[0].Created && e.Created {
		o.status = http.StatusCreated
	}
	e.recorded.Store(true)
	return e.appendContent(nil, o), nil
}

// entryOf returns the entry of a write that no request has made.
func entryOf(cause matcher.Cause, l *Log) *Entry {
	e := &Entry{Operation: OperationInternal, Status: http.StatusOK, Start: l.now()}
	switch {
	case cause.Plugin() != "":
		e.Operation, e.Key = OperationWrite, string(cause)
	case cause == matcher.CauseExpiry:
		e.Operation = OperationExpire
	case cause == matcher.CauseRetention:
		e.Operation = OperationRetention
	case cause == matcher.CauseErasure:
		e.Operation = OperationErase
	}
	return e
}

// Copy writes the lines of records that are durable. It implements store.Auditor. If it
// fails, the records wait in memory and in the store.
func (l *Log) Copy(records []store.AuditRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, records...)
	if l.fault == nil && l.file != nil {
		for i := range records {
			setTime(records[i].Data, l.now()) // the time when the line is written
		}
		_ = l.copyPending() // l.fault has the error
	}
}

// copyPending writes the lines of all pending records. The caller holds l.mu.
func (l *Log) copyPending() error {
	if len(l.pending) == 0 {
		return nil
	}
	contents := make([][]byte, len(l.pending))
	for i := range l.pending {
		contents[i] = l.pending[i].Data
	}
	if err := l.writeLines(contents); err != nil {
		return err
	}
	l.copied = after(l.pending[len(l.pending)-1].ID)
	l.pending = nil
	return nil
}

// after returns the ID that follows id.
func after(id matcher.ID) matcher.ID {
	low := binary.BigEndian.Uint64(id[8:]) + 1 // the numbers of records in a commit are small
	binary.BigEndian.PutUint64(id[8:], low)
	return id
}
