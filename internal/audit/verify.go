package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is the result of Verify.
type Report struct {
	Lines      uint64
	First      uint64 // number of the first line
	Head       Head   // of the last line
	Recoveries int    // torn lines with a line about them
	Warnings   []string
}

// LineError is the first line of an audit that is wrong.
type LineError struct {
	File string
	Line int    // in the file, from 1
	Seq  uint64 // the number of the line, or the one that it should have
	Text string
}

func (f *LineError) Error() string {
	return fmt.Sprintf("%s:%d: line %d %s", f.File, f.Line, f.Seq, f.Text)
}

// warningsMax is the largest number of warnings in a report.
const warningsMax = 20

// verifier checks lines in order.
type verifier struct {
	chain  *chain
	report Report
	began  bool
	head   *Head // that a line must have; nil: none is given
	last   time.Time
	files  []verifiedFile
	file   string
	number int // of the line in the file

	in         *os.File // the current file
	torn       bool     // there are bytes since the last valid line
	tornAt     int64    // where they begin
	tornNumber int      // of their first line in the file
}

type verifiedFile struct {
	name  string
	first uint64 // number of its first line; 0: it has none
}

// Verify checks the lines of files, which are put into the order of their first lines. head
// is the number and hash of a line that must be among them; nil: none is known. A *LineError is
// the first line that is wrong.
func Verify(key Key, names []string, head *Head) (Report, error) {
	v := &verifier{chain: newChain(key), head: head}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return v.report, err
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s: is not a file", name)
		}
		var first uint64
		if err == nil {
			first, err = firstSeq(f, info.Size())
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return v.report, err
		}
		v.files = append(v.files, verifiedFile{name, first})
	}
	slices.SortStableFunc(v.files, func(a, b verifiedFile) int {
		return int(min(max(int64(a.first)-int64(b.first), -1), 1))
	})
	for _, f := range v.files {
		if err := v.verifyFile(f.name); err != nil {
			return v.report, err
		}
	}
	return v.report, v.finish()
}

func (v *verifier) verifyFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	r := newReader(f, 0, 1<<62)
	v.in, v.file, v.number = f, name, 0
	for {
		text, at, _, err := r.read()
		if errors.Is(err, io.EOF) {
			return v.endOfFile()
		}
		if err != nil {
			return err
		}
		v.number++
		l, err := parseLine(text)
		if err != nil {
			if !v.torn {
				v.torn, v.tornAt, v.tornNumber = true, at, v.number
			}
			continue
		}
		if !v.chain.valid(&l) {
			return v.wrongHash(&l)
		}
		if err := v.next(&l, at); err != nil {
			return err
		}
	}
}

// endOfFile returns a fault if the file ends with bytes that are no line.
func (v *verifier) endOfFile() error {
	if !v.torn {
		return nil
	}
	return &LineError{
		v.file, v.tornNumber, v.report.Head.Seq + 1,
		"is cut off, and no line follows. If the server was killed and was not started since, its next start adds a line about it",
	}
}

// fault returns the fault of the current line.
func (v *verifier) fault(seq uint64, format string, args ...any) error {
	return &LineError{v.file, v.number, seq, fmt.Sprintf(format, args...)}
}

// wrongHash says why the hash of a line is not that of its text.
func (v *verifier) wrongHash(l *line) error {
	if v.torn {
		return v.tornFault()
	}
	if v.began && (l.head.Seq != v.report.Head.Seq+1 || l.prev != v.report.Head.Hash) {
		return v.fault(l.head.Seq, "is foreign: it has another place in a chain, or was written with another key")
	}
	return v.fault(l.head.Seq, "was changed, or was written with another key")
}

func (v *verifier) tornFault() error {
	return &LineError{v.file, v.tornNumber, v.report.Head.Seq + 1, "was changed: it is not a line, and no audit.recovered line belongs to it"}
}

// next checks the place of a line whose hash is right. at is its offset.
func (v *verifier) next(l *line, at int64) error {
	h := &v.report.Head
	if v.torn {
		switch explained, err := v.explainsTorn(l, at); {
		case err != nil:
			return err
		case !explained:
			return v.tornFault()
		}
		v.torn = false
		v.report.Recoveries++
	}
	switch {
	case !v.began:
		v.began, v.report.First = true, l.head.Seq
		if l.head.Seq == 1 && l.prev != [sha256.Size]byte{} {
			return v.fault(1, "is foreign: prev must be 64 zeros in the first line of a chain")
		}
		if v.head != nil && v.head.Seq+1 == l.head.Seq && v.head.Hash != l.prev {
			return v.fault(l.head.Seq, "is foreign: it does not follow the given head")
		}
	case l.head.Seq != h.Seq+1:
		return v.wrongPlace(l)
	case l.prev != h.Hash:
		return v.fault(l.head.Seq, "is foreign: prev is not the hash of the line before it")
	}
	if v.head != nil && l.head.Seq == v.head.Seq && l.head.Hash != v.head.Hash {
		return v.fault(l.head.Seq, "was replaced: the given head has another hash")
	}
	v.checkTime(l)
	v.report.Lines++
	*h = l.head
	return nil
}

// wrongPlace says whether lines are missing or in another order.
func (v *verifier) wrongPlace(l *line) error {
	wanted := v.report.Head.Seq + 1
	if l.head.Seq < wanted {
		return v.fault(l.head.Seq, "is in the wrong place: it follows line %d", wanted-1)
	}
	if v.contains(wanted) {
		return v.fault(l.head.Seq, "is in the wrong place: line %d, which comes before it, is further behind", wanted)
	}
	if l.head.Seq-1 > wanted {
		return v.fault(l.head.Seq, "follows line %d: the lines %d to %d are missing", wanted-1, wanted, l.head.Seq-1)
	}
	return v.fault(l.head.Seq, "follows line %d: line %d is missing", wanted-1, wanted)
}

// contains reports whether a file has a valid line with a number.
func (v *verifier) contains(seq uint64) bool {
	for _, file := range v.files {
		f, err := os.Open(file.name)
		if err != nil {
			continue
		}
		r := newReader(f, 0, 1<<62)
		found := false
		for !found {
			l, _, err := r.nextLine()
			if err != nil {
				break
			}
			found = l.head.Seq == seq && v.chain.valid(&l)
		}
		_ = f.Close() // only read
		if found {
			return true
		}
	}
	return false
}

// explainsTorn reports whether l, at that offset, is the line about the torn bytes before
// it. The newline before l may have been added to them.
func (v *verifier) explainsTorn(l *line, at int64) (bool, error) {
	if !isRecovered(l) {
		return false, nil
	}
	for _, end := range []int64{at - 1, at} {
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(v.in, v.tornAt, end-v.tornAt)); err != nil {
			return false, err
		}
		if strings.Contains(string(l.content), `"sha256":"`+hex.EncodeToString(sum.Sum(nil))+`"`) {
			return true, nil
		}
	}
	return false, nil
}

// checkTime warns if the clock went back.
func (v *verifier) checkTime(l *line) {
	at, known := timeOf(l.content)
	if known && at.Before(v.last) && len(v.report.Warnings) < warningsMax {
		v.report.Warnings = append(v.report.Warnings, fmt.Sprintf("%s:%d: line %d: the clock went back from %s to %s",
			v.file, v.number, l.head.Seq, v.last.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano)))
	}
	if known {
		v.last = at
	}
}

// finish checks the end.
func (v *verifier) finish() error {
	if v.head == nil {
		return nil
	}
	switch {
	case v.head.Seq > v.report.Head.Seq:
		return v.fault(v.report.Head.Seq, "is the last one: the lines up to %d, that of the given head, are missing", v.head.Seq)
	case v.head.Seq+1 < v.report.First:
		v.report.Warnings = append(v.report.Warnings, fmt.Sprintf("the given head, line %d, is older than the first line, %d, so they cannot be compared", v.head.Seq, v.report.First))
	}
	return nil
}
