package erase

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"nearside/internal/needle"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
)

const (
	// batchBytes limits the descriptors of the targets that are searched in one pass over
	// the files, and needlesMax their needles. They bound the memory of a search to about
	// 150 MiB.
	batchBytes = 64 << 20
	needlesMax = 1 << 20
)

// wanted is what a needle stands for.
type wanted struct {
	descriptor *matcher.Descriptor // nil: an ID
	shared     bool                // an existing object has it
}

func (w *wanted) name() string {
	if w.descriptor == nil {
		return "id"
	}
	return "descriptor"
}

// pass searches the files for a part of the targets.
type pass struct {
	*job
	set    *needle.Set
	wanted []wanted // by tag
	bytes  int      // of descriptors
	files  *dirFiles
}

// verify searches all files of the data directory, in as many passes as the memory needs.
func (j *job) verify(ctx context.Context) error {
	resume, err := j.Store.PauseSealing(ctx)
	if err != nil {
		return err
	}
	defer resume()
	files, err := openDir(j.Dir, j.skipped, j.isUsed)
	if err != nil {
		return err
	}
	defer files.close()
	if err := j.searchTargets(ctx, files, (*pass).searchRecords, j.addFile); err != nil {
		return err
	}
	j.report.FilesVerified = len(files.all)
	return nil
}

// isUsed reports whether a file is complete: it is not a table that the database is
// writing, or has written for itself and does not use.
func (j *job) isUsed(name string) bool {
	return filepath.Dir(name) != "pebble" || store.KindOfFile(name) != store.TableFile || j.Store.IsLive(filepath.Base(name))
}

// skipped reports whether a file of the data directory is not searched with the others: it
// belongs to this task, or to a snapshot.
func (j *job) skipped(path string) bool {
	if j.Snapshots != nil && within(path, realName(j.Snapshots.Dir())) {
		return true
	}
	return within(path, j.dir) || strings.HasPrefix(path, j.dir+".json")
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// searchTargets searches files for all targets. prepare is called at the beginning of each
// pass, if it is not nil, and add with what was found in a file.
func (j *job) searchTargets(ctx context.Context, files *dirFiles, prepare func(*pass, context.Context) error, add func(*pass, *dirFile, *findings)) error {
	p := &pass{job: j, set: needle.New(), files: files}
	search := func() error {
		p.set.Prepare()
		if prepare != nil {
			if err := prepare(p, ctx); err != nil {
				return err
			}
		}
		for i := range files.all {
			found, err := p.searchFile(ctx, &files.all[i])
			if err != nil {
				return fmt.Errorf("%s: %w", files.all[i].name, err)
			}
			add(p, &files.all[i], found)
		}
		return nil
	}
	j.report.Objects, j.report.NotFound, j.report.Unsearched = 0, 0, 0
	err := eachTarget(j.dir, func(t *target, first bool) error {
		if p.set.Len() >= needlesMax || p.bytes >= batchBytes {
			if err := search(); err != nil {
				return err
			}
			p = &pass{job: j, set: needle.New(), files: files}
		}
		if first {
			j.count(t)
		}
		p.addTarget(t)
		return nil
	})
	if err != nil || len(p.wanted) == 0 {
		return err
	}
	return search()
}

// count adds a target to the report.
func (j *job) count(t *target) {
	if t.Existed {
		j.report.Objects++
	} else {
		j.report.NotFound++
	}
}

// addTarget adds the needles of a target.
func (p *pass) addTarget(t *target) {
	tag := p.addWanted(nil)
	if !needle.Searchable(t.ID[:]) { // only its text is
		p.report.Unsearched++
	}
	p.set.Add(t.ID[:], tag)
	p.set.Add([]byte(t.ID.String()), tag)
	for i := range t.Descriptors {
		d := &t.Descriptors[i]
		if !needle.Searchable(d.Data) {
			p.report.Unsearched++
			continue
		}
		tag := p.addWanted(d)
		p.bytes += len(d.Data)
		p.set.Add(d.Data, tag)
		p.set.AddBase64(d.Data, tag)
		v := p.Registry.Version(d.Version)
		if v == nil || len(d.Data) != v.Size() || v.Encoding == matcher.Uint8 {
			p.set.AddInterleaved(d.Data, tag)
			continue
		}
		for _, step := range p.steps[d.Version] {
			copied := memory.ByteCopy(v, step, d.Data)
			p.set.Add(copied, tag)
			p.set.AddInterleaved(copied, tag)
		}
	}
}

func (p *pass) addWanted(d *matcher.Descriptor) (tag uint32) {
	p.wanted = append(p.wanted, wanted{descriptor: d})
	return uint32(len(p.wanted) - 1) //nolint:gosec // far below 2^32
}

// searchRecords finds out which of the IDs and descriptors existing objects have.
func (p *pass) searchRecords(ctx context.Context) error {
	meter := newMeter(ctx, p.BytesPerSecond)
	return p.Store.EachRecord(ctx, func(key, value []byte) error {
		if isData(key) {
			share := func(h needle.Hit) { p.wanted[h.Tag].shared = true }
			p.set.Search(key, share)
			p.set.Search(value, share)
		}
		return meter.take(len(key) + len(value))
	})
}

// meter limits the rate of reading.
type meter struct {
	ctx   context.Context
	rate  int64
	begin time.Time
	bytes int64 // since begin
}

// meterBytes is how many bytes are read between two pauses.
const meterBytes = 128 << 10

// meterShare is the shortest pause, as a multiple of the time of the work before it.
const meterShare = 3

func newMeter(ctx context.Context, rate int64) *meter {
	return &meter{ctx: ctx, rate: rate, begin: time.Now()}
}

// take counts bytes that were read, and waits if they were read too fast.
func (m *meter) take(bytes int) error {
	m.bytes += int64(bytes)
	if m.bytes < meterBytes {
		return nil
	}
	// Most of the time is a pause, so that requests get the processor.
	took := time.Since(m.begin)
	pause := max(time.Duration(m.bytes*int64(time.Second)/m.rate)-took, meterShare*took)
	m.bytes = 0
	err := rest(m.ctx, pause)
	m.begin = time.Now()
	return err
}
