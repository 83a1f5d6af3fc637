package erase

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nearside/internal/needle"
	"nearside/matcher/memory"
	"nearside/matcher/memory/segment"
	"nearside/matcher/store"
)

// findings are the places in a file that have what is wanted.
type findings struct {
	raw     map[uint32]int            // found in the bytes of the file, by tag
	decoded map[uint32]map[string]int // found in its records, by tag and kind of record
}

func (f *findings) addRaw(h needle.Hit) { f.raw[h.Tag]++ }

// isData reports whether a record with this key is an object, a list or the state of the
// store, and not the journal, the audit or the data of a plugin.
func isData(key []byte) bool {
	kind := store.KindOfKey(key)
	return kind == "list" || strings.HasPrefix(kind, "record")
}

// searchFile searches a file: all of its bytes, and its records if it has some.
func (p *pass) searchFile(ctx context.Context, f *dirFile) (*findings, error) {
	found := &findings{raw: map[uint32]int{}, decoded: map[uint32]map[string]int{}}
	if isHole(f.File) {
		return found, nil
	}
	meter := newMeter(ctx, p.BytesPerSecond)
	pace := func(bytes int) { _ = meter.take(bytes) } // the end of ctx is noticed by the reader
	if _, err := p.set.Read(ctx, io.NewSectionReader(f, 0, math.MaxInt64), pace, found.addRaw); err != nil {
		return nil, err
	}
	base := filepath.Base(f.name)
	if strings.HasSuffix(base, segment.Suffix) {
		return found, p.searchSegment(ctx, f, pace, found)
	}
	err := store.ReadRecords(ctx, f.File, func(key, value []byte) error {
		kind := store.KindOfKey(key)
		count := func(h needle.Hit) {
			if found.decoded[h.Tag] == nil {
				found.decoded[h.Tag] = map[string]int{}
			}
			found.decoded[h.Tag][kind]++
		}
		p.set.Search(key, count)
		p.set.Search(value, count)
		return meter.take(len(key) + len(value))
	})
	if err != nil && f.written && ctx.Err() == nil {
		return found, p.awaitTable(ctx, f, err)
	}
	return found, err
}

const (
	// tableWait is how long the database may take to finish or to remove a table.
	tableWait  = time.Minute
	tablePause = 50 * time.Millisecond
)

// awaitTable is called for a table that the database did not use when the files were
// opened, and that cannot be read because of fault. If the database was writing it, it has
// only records of other files, and its bytes were searched. Otherwise it is a foreign
// file, and awaitTable returns fault.
func (j *job) awaitTable(ctx context.Context, f *dirFile, fault error) error {
	for end := time.Now().Add(tableWait); time.Now().Before(end); {
		if _, err := os.Stat(f.Name()); errors.Is(err, fs.ErrNotExist) || j.isUsed(f.name) {
			return nil
		}
		if err := rest(ctx, tablePause); err != nil {
			return err
		}
	}
	return fault
}

// isHole reports whether a file has only disk space that was never written, such as the
// reserve of the store. It reads as zeros. A file system that cannot tell says no.
func isHole(f *os.File) bool {
	const seekData = 3 // SEEK_DATA of lseek(2)
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	_, err = f.Seek(0, seekData)
	return errors.Is(err, syscall.ENXIO)
}

// searchSegment verifies a segment, and searches it for the byte copies that its chunk
// would have of the wanted descriptors.
func (p *pass) searchSegment(ctx context.Context, f *dirFile, pace func(int), found *findings) error {
	steps, err := segment.Check(ctx, f, p.Registry, pace)
	if err != nil || len(steps) == 0 {
		return err
	}
	copies := needle.New()
	for _, s := range steps {
		for tag := range p.wanted {
			if d := p.wanted[tag].descriptor; d != nil && d.Version == s.Version.Number && len(d.Data) == s.Version.Size() {
				copies.AddInterleaved(memory.ByteCopy(s.Version, s.Step, d.Data), uint32(tag)) //nolint:gosec // far below 2^32
			}
		}
	}
	copies.Prepare()
	_, err = copies.Read(ctx, io.NewSectionReader(f, 0, math.MaxInt64), pace, found.addRaw)
	return err
}

// addFile adds what was found in a file of the data directory to the report.
func (j *job) addFile(p *pass, f *dirFile, found *findings) {
	in := j.kindOfFile(f)
	for tag, kinds := range found.decoded {
		for kind, n := range kinds {
			if p.wanted[tag].shared && (kind == "list" || strings.HasPrefix(kind, "record")) {
				j.report.Shared += n
			} else {
				j.report.addRemain(Remain{File: f.name, In: kind, Found: p.wanted[tag].name(), Count: n})
			}
		}
	}
	for tag, n := range found.raw {
		for _, decoded := range found.decoded[tag] { // these places are also in the bytes
			n -= decoded
		}
		switch {
		case n <= 0:
		case p.wanted[tag].shared && (in == inTable || in == inLog || in == inSegment):
			j.report.Shared += n
		default:
			j.report.addRemain(Remain{File: f.name, In: in, Found: p.wanted[tag].name(), Count: n})
		}
	}
}

// Kinds of files, for reports.
const (
	inTable   = "table"
	inLog     = "log"
	inSegment = "segment"
	inFile    = "file"
)

func (j *job) kindOfFile(f *dirFile) string {
	switch kind := store.KindOfFile(filepath.Base(f.name)); {
	case j.isAudit(f.Name()):
		return inAudit
	case kind == store.TableFile:
		return inTable
	case kind == store.LogFile, kind == store.ManifestFile:
		return inLog
	case filepath.Dir(f.name) == "segments":
		return inSegment
	}
	return inFile
}

// isAudit reports whether the file with a path belongs to the audit.
func (j *job) isAudit(path string) bool {
	if j.AuditFile == nil || j.AuditFile() == "" {
		return false
	}
	rest, ok := strings.CutPrefix(path, realName(j.AuditFile()))
	return ok && strings.Trim(rest, ".0123456789") == "" // rotated files have numbers
}
