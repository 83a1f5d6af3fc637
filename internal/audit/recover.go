package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"nearside/matcher/store"
)

// tail is the end of the audit as the files have it: what was written after the stored head.
type tail struct {
	chain   *chain
	stored  Head      // the head to begin with
	head    Head      // of the last valid line
	last    time.Time // of the last valid line
	found   bool      // the line of the stored head, or the one after it, was found
	pending []store.AuditRecord
	broken  error // the first fault between two valid lines
	torn    bool  // there are bytes after the last valid line of the last file
	tornSum [sha256.Size]byte
	tornLen int64
	ended   bool   // the last byte of the last file is a newline, or there is none
	first   uint64 // number of the first line of the current file; 0: it has none
}

// openFile opens the current file, continues the chain at its end, and removes records from
// l.pending whose lines it has. The caller holds l.mu.
func (l *Log) openFile(path string) error {
	f, err := openCurrent(path)
	if err != nil {
		return err
	}
	t := tail{chain: l.chain, stored: l.head, head: l.head, pending: l.pending}
	size, err := t.read(path, f)
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	if t.otherKey(f, size) {
		if err := l.moveAway(path, t.first); err != nil {
			_ = f.Close()
			return err
		}
		l.retire(f)
		if f, err = openCurrent(path); err != nil {
			return err
		}
		size, t.first, t.torn, t.ended = 0, 0, false, true
	}
	l.report(path, &t)
	l.file, l.path, l.size, l.first = f, path, size, t.first
	l.unkept = l.unkept || t.head != l.head || len(t.pending) < len(l.pending)
	if n := len(l.pending) - len(t.pending); n > 0 {
		l.copied = after(l.pending[n-1].ID)
	}
	l.head, l.pending = t.head, t.pending
	l.orderTimes(t.last)
	return l.repairEnd(&t)
}

// report logs what is wrong with the files.
func (l *Log) report(path string, t *tail) {
	switch {
	case t.broken != nil:
		l.log.Error("the audit was changed: run nearside audit verify", "file", path, "error", t.broken)
	case t.head.Seq < t.stored.Seq, t.stored.Seq > 0 && !t.found:
		l.log.Error("lines of the audit are missing", "file", path, "last_line", t.head.Seq, "stored_head", t.stored.Seq)
	}
	if t.head.Seq < t.stored.Seq {
		t.head = t.stored // the gap stays visible
	}
}

// repairEnd adds the newline that the file lacks, and the line about torn bytes.
func (l *Log) repairEnd(t *tail) error {
	if !t.ended {
		if _, err := l.file.Write([]byte("\n")); err != nil {
			return err
		}
		l.size++
	}
	if !t.torn {
		return nil
	}
	l.log.Warn("the audit ended with a part of a line; it is kept", "file", l.path, "bytes", t.tornLen)
	e := &Entry{Operation: OperationRecovered, Target: l.path, References: []Reference{{Type: "torn", SHA256: t.tornSum}}, Count: int(t.tornLen)}
	now := l.now()
	if len(l.pending) > 0 { // their lines follow
		if at, ok := timeOf(l.pending[0].Data); ok {
			now = at
		}
	}
	content := e.appendContent(nil, outcome{status: http.StatusOK, count: e.Count, now: now})
	text, head := l.encode([][]byte{content})
	return l.appendText(text, head, 1) // in the same file as the torn bytes
}

// orderTimes makes sure that no pending record has a time before that of the last line,
// because that would look like a clock that went back.
func (l *Log) orderTimes(last time.Time) {
	for i := range l.pending {
		if at, ok := timeOf(l.pending[i].Data); ok && at.Before(last) {
			setTime(l.pending[i].Data, last)
		}
	}
}

// read reads all lines after the stored head, from the rotated files that have some and from
// the current file. It returns the size of the current file.
func (t *tail) read(path string, current *os.File) (int64, error) {
	t.ended = true
	names, err := rotatedFiles(path)
	if err != nil {
		return 0, err
	}
	begin := len(names) // of the rotated files with lines after the head
	size, from, err := seekHead(current, t.stored.Seq)
	if err != nil {
		return 0, err
	}
	if t.first, err = firstSeq(current, size); err != nil {
		return 0, err
	}
	if t.stored.Seq == 0 && t.first > 0 && len(t.pending) == 0 {
		from = 1 // a new store, which knows nothing about the older files
	}
	for ; begin > 0 && from == 0; begin-- {
		if from, err = t.readRotated(names[begin-1], false); err != nil {
			return 0, err
		}
	}
	for _, name := range names[begin:] {
		if _, err := t.readRotated(name, true); err != nil {
			return 0, err
		}
	}
	_, from, err = seekHead(current, t.stored.Seq)
	if err != nil {
		return 0, err
	}
	return size, t.readLines(current, from, size)
}

// readRotated returns where the lines after the stored head begin in a rotated file, and
// reads them if wanted.
func (t *tail) readRotated(name string, wanted bool) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // only read
	size, from, err := seekHead(f, t.stored.Seq)
	if err == nil && wanted {
		err = t.readLines(f, from, size)
	}
	return from, err
}

// seekHead returns the size of a file and the offset of the line with the number seq.
func seekHead(f *os.File, seq uint64) (size, from int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	from, err = seek(f, info.Size(), seq)
	if from == info.Size() && from > 0 { // all lines are older, but there may be torn bytes
		from, err = endOfLines(f, from)
	}
	return info.Size(), from, err
}

// endOfLines returns the end of the last line of a file.
func endOfLines(f *os.File, size int64) (int64, error) {
	for window := int64(seekWindow); ; window *= 4 {
		begin := max(size-window, 0)
		r := newReader(f, begin, size)
		if begin > 0 {
			if _, _, _, err := r.read(); err != nil {
				return 0, err
			}
		}
		end := int64(-1)
		for {
			l, at, err := r.nextLine()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return 0, err
			}
			end = min(at+int64(len(l.text))+1, size)
		}
		if end >= 0 || begin == 0 {
			return max(end, 0), nil
		}
	}
}

// firstSeq returns the number of the first line of a file, or 0.
func firstSeq(f *os.File, size int64) (uint64, error) {
	l, _, err := newReader(f, 0, size).nextLine()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	return l.head.Seq, err
}

// readLines reads the lines of a file from an offset on.
func (t *tail) readLines(f *os.File, from, size int64) error {
	r := newReader(f, from, size)
	t.torn, t.ended = false, true
	valid := from // end of the last valid line
	for {
		text, at, complete, err := r.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.ended = complete
		l, err := parseLine(text)
		if err != nil || !t.accept(&l) {
			t.torn = true
			continue
		}
		if t.torn && !isRecovered(&l) && t.broken == nil {
			t.broken = fmt.Errorf("the bytes before the line %d, at offset %d, are no line", l.head.Seq, at)
		}
		valid, t.torn = r.next, false
	}
	if !t.torn {
		return nil
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(f, valid, size-valid))
	copy(t.tornSum[:], sum.Sum(nil))
	t.tornLen = n
	return err
}

// accept takes the next line. It returns false if the line does not have the hash of its
// text, so that it counts as torn.
func (t *tail) accept(l *line) bool {
	if l.head.Seq == t.stored.Seq && l.head.Hash == t.stored.Hash {
		t.found = true
		return true
	}
	if !t.chain.valid(l) {
		return false
	}
	switch {
	case t.head == t.stored && t.stored.Seq == 0: // the store knows nothing about the chain
	case l.head.Seq != t.head.Seq+1 || l.prev != t.head.Hash:
		if t.broken == nil {
			t.broken = fmt.Errorf("the line %d does not follow the line %d", l.head.Seq, t.head.Seq)
		}
	}
	if l.head.Seq == t.stored.Seq+1 && l.prev == t.stored.Hash {
		t.found = true
	}
	t.head = l.head
	if at, ok := timeOf(l.content); ok {
		t.last = at
	}
	if len(t.pending) > 0 && bytes.Equal(withoutTime(l.content), withoutTime(t.pending[0].Data)) {
		t.pending = t.pending[1:]
	}
	return true
}

// otherKey reports whether the current file ends with the stored head, which has a hash of
// another key. Such a file is not continued.
func (t *tail) otherKey(f *os.File, size int64) bool {
	if t.head != t.stored || size == 0 {
		return false
	}
	from, err := seek(f, size, t.stored.Seq)
	if err != nil || from == size {
		return false
	}
	l, _, err := newReader(f, from, size).nextLine()
	return err == nil && l.head == t.stored && !t.chain.valid(&l)
}

// isRecovered reports whether l is a line about torn bytes.
func isRecovered(l *line) bool {
	return bytes.Contains(l.content, []byte(`,"operation":"`+OperationRecovered+`",`))
}
