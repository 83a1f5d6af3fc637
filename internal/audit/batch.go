package audit

import "runtime"

// Lines of requests that end at about the same time are written with one system call,
// because a write to a file costs more than the making of the line.
//
// The first request of a batch is its leader. It lets other requests run that are ready to
// run, and then writes all lines of the batch. The others wait for it. Without other
// requests, the leader writes at once. Whoever needs the end of the file, such as a rotation
// or a checkpoint, writes the batch before that.

// batchBytes is the size from which a batch is written at once.
const batchBytes = 256 << 10

// batch is lines that wait for their write. Log.mu protects it until done is closed.
type batch struct {
	text  []byte
	head  Head // after the last line
	lines int
	err   error         // why the lines were not written
	done  chan struct{} // closed when the lines are in the file, or err is set
}

// addToBatch adds the line of an entry to the current batch, and returns the batch. leader
// is true if the caller must call lead. The batch is nil if there is no audit any more. The
// caller holds l.mu.
func (l *Log) addToBatch(e *Entry, status int) (b *batch, leader bool, err error) {
	if err := l.refusal(); err != nil {
		l.failures.Add(1)
		return nil, false, err
	}
	if l.file == nil {
		return nil, false, nil // the audit was switched off
	}
	content := e.appendContent(l.content[:0], outcome{status: status, results: e.Results, count: e.Count, now: l.now()})
	if cap(content) <= contentKept {
		l.content = content
	}
	size := len(content) + lineExtra
	if b = l.batch; b != nil && (len(b.text)+size > batchBytes || l.size+int64(len(b.text)+size) > l.maxBytes) {
		if err := l.writeBatch(); err != nil {
			l.failures.Add(1)
			return nil, false, err
		}
	}
	if b, leader = l.batch, l.batch == nil; leader {
		b = &batch{text: l.buffer[:0], head: l.head, done: make(chan struct{})}
		l.batch, l.buffer = b, nil
	}
	b.text, b.head = l.chain.appendLine(b.text, b.head, content)
	b.lines++
	return b, leader, nil
}

// lead writes the batch b, unless that was done meanwhile.
func (l *Log) lead(b *batch) {
	runtime.Gosched()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.batch == b {
		_ = l.writeBatch() // b has the error
	}
}

// writeBatch writes the lines of the current batch, all or none. The caller holds l.mu.
func (l *Log) writeBatch() error {
	b := l.batch
	if b == nil {
		return nil
	}
	l.batch = nil
	b.err = l.writeText(b.text, b.head, b.lines)
	if b.err != nil {
		l.failures.Add(int64(b.lines))
	}
	if cap(b.text) <= batchBytes {
		l.buffer = b.text
	}
	close(b.done)
	return b.err
}
