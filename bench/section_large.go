package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nearside/bench/gate"
	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
	"nearside/matcher/memory/segment"
	"nearside/matcher/wire"
)

// largeBars are the bars of the section large.
var largeBars = []string{"import-10m", "stop-10m", "disk-10m", "restart-10m"}

// The rows of the section are imported in largeParts files, so that only one of them needs
// disk space at a time. After that, a list gets 1/largeExtra more rows, which are deleted
// later. They are so many that the server begins to write segments.
const (
	largeParts = 10
	largeExtra = 100
)

// largeSet is a set of uniform rows that are not in memory: each is generated when it is
// needed.
type largeSet struct {
	version *matcher.Version
	set     *synth.Set
	query   []byte
}

func (s *suite) largeSet() *largeSet {
	v := s.registry.Version(u8x512)
	d := &largeSet{version: v, set: synth.New(synth.Uniform, seed, v, 0), query: make([]byte, v.Size())}
	d.set.Query(d.query, 0)
	return d
}

// nearest returns the distances of the rows lo to hi-1 that are nearest to the query.
func (d *largeSet) nearest(lo, hi int) []float64 {
	row := make([]byte, d.version.Size())
	var top []float64
	for i := lo; i < hi; i++ {
		d.set.Row(row, i)
		x := d.version.Distance(d.query, row)
		if len(top) == depth && x >= top[depth-1] {
			continue
		}
		at, _ := slices.BinarySearch(top, x)
		if top = slices.Insert(top, at, x); len(top) > depth {
			top = top[:depth]
		}
	}
	return top
}

// large is a server with many rows.
type large struct {
	*service
	data   *largeSet
	rows   int       // rows of list
	list   string    // the list with most rows
	extra  string    // the list whose rows are deleted
	wanted []float64 // the nearest distances in list
}

// largeSection measures a server with many rows: import, a stop right after it, a delete,
// disk space, and restarts.
func (s *suite) largeSection() error {
	if _, err := os.Stat(s.binary); err != nil {
		s.skipBars(s.binary+" was not built; run make build", largeBars...)
		return nil
	}
	v, err := s.startService("large", "")
	if err != nil {
		return err
	}
	l := &large{service: v, data: s.largeSet(), rows: s.size.largeRows, list: "new"}
	defer func() { l.Kill() }()
	l.wanted = l.data.nearest(0, l.rows)
	for _, step := range []func() error{
		l.measureImport, l.measureStops, l.settle, l.measureMatch, l.measureDelete, l.settle, l.measureDisk, l.measureRestart,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// importRows imports the rows lo to hi-1 into a list, and returns its ID and the seconds
// of the import.
func (l *large) importRows(lo, hi int, to string) (list string, seconds float64, err error) {
	path := filepath.Join(l.suite.dir, "large.bvecs")
	row := make([]byte, l.data.version.Size())
	err = writeVectors(path, l.data.version.Length, hi-lo, func(i int) []byte {
		l.data.set.Row(row, lo+i)
		return row
	})
	if err != nil {
		return "", 0, err
	}
	if list, seconds, err = l.importFile(path, l.data.version.Number, hi-lo, to); err != nil {
		return "", 0, err
	}
	return list, seconds, os.Remove(path)
}

// measureImport imports all rows, and compares the rate with that of the first part.
func (l *large) measureImport() error {
	var first, all float64
	for part := range largeParts {
		lo, hi := l.rows*part/largeParts, l.rows*(part+1)/largeParts
		list, seconds, err := l.importRows(lo, hi, l.list)
		if err != nil {
			return err
		}
		if l.list = list; part == 0 {
			first = float64(hi-lo) / seconds
		}
		all += seconds
		l.suite.logf("   %d rows: %.0f rows/s", hi, float64(hi-lo)/seconds)
	}
	rate := float64(l.rows) / all
	l.suite.addServiceFigure(fmt.Sprintf("import of %d rows into an empty server", l.rows/largeParts), first, "rows/s")
	l.suite.addServiceFigure(fmt.Sprintf("import of %d rows", l.rows), rate, "rows/s")
	l.suite.measured["import-10m"] = gate.Measurement{Value: rate / first, Note: fmt.Sprintf("%d rows, %.0f of %.0f rows/s", l.rows, rate, first)}
	return nil
}

// measureStops stops the server right after the import of all rows, and again after the
// import of a few more. Segments are then being written. Each start must have all rows.
func (l *large) measureStops() error {
	stop := func() (float64, error) {
		begin := time.Now()
		err := l.Stop()
		return time.Since(begin).Seconds(), err
	}
	full, err := stop()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := errors.Join(l.start(), l.check()); err != nil {
		return err
	}
	l.suite.addServiceFigure("start after a stop right after the import", time.Since(begin).Seconds(), "s")
	if l.extra, _, err = l.importRows(l.rows, l.rows+l.rows/largeExtra, "new"); err != nil {
		return err
	}
	few, err := stop()
	if err != nil {
		return err
	}
	l.suite.measured["stop-10m"] = gate.Measurement{Value: max(full, few), Note: fmt.Sprintf("%.2f s after %d rows, %.2f s after %d more", full, l.rows, few, l.rows/largeExtra)}
	return errors.Join(l.start(), l.check())
}

// check compares an answer over the main list with the oracle.
func (l *large) check() error {
	got, err := l.distances(l.request(), l.rows)
	if err != nil {
		return err
	}
	return compareDistances(got, l.wanted)
}

// request returns a request over the main list.
func (l *large) request() load.Match {
	list := matcher.MustID(l.list)
	return load.Match{
		Format: wire.JSON, Version: l.data.version.Number, Batch: 1, Origin: matcher.Faces.String(), Limit: depth, List: &list,
		Rows: [][]byte{l.data.query},
	}
}

// measureMatch measures a match over all rows, and the memory of the server.
func (l *large) measureMatch() error {
	var seconds []float64
	for range l.suite.size.rounds {
		begin := time.Now()
		if err := l.check(); err != nil {
			return err
		}
		seconds = append(seconds, time.Since(begin).Seconds())
	}
	l.suite.addServiceFigure(fmt.Sprintf("match of one reference with %d rows", l.rows), stat.Median(seconds)*1e3, "ms")
	resident, err := l.ResidentBytes()
	if err != nil {
		return err
	}
	l.suite.addServiceFigure(fmt.Sprintf("resident memory with %d rows", l.rows+l.rows/largeExtra), float64(resident)/1e6, "MB")
	return nil
}

// measureDelete deletes the rows of the extra list.
func (l *large) measureDelete() error {
	request, err := http.NewRequestWithContext(l.suite.ctx, http.MethodDelete, l.URL+"/1/lists/"+l.extra+"?with_faces=1", nil)
	if err != nil {
		return err
	}
	begin := time.Now()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusNoContent {
		return errors.Join(fmt.Errorf("the delete of a list with its faces: HTTP %d", answer.StatusCode), err)
	}
	l.suite.addServiceFigure(fmt.Sprintf("delete of a list with %d of %d rows", l.rows/largeExtra, l.rows), time.Since(begin).Seconds(), "s")
	return l.check()
}

// settle waits until the server works no more, and restarts it, until a stop leaves
// segments with all rows. A start begins to write the missing segments at once.
func (l *large) settle() error {
	for range 5 {
		if err := errors.Join(l.waitIdle(), l.Stop()); err != nil {
			return err
		}
		s, err := l.segments()
		if err != nil {
			return err
		}
		if err := errors.Join(l.start(), l.check()); err != nil {
			return err
		}
		if s.Rows >= l.rows {
			return l.waitIdle() // the verification of the database ends
		}
	}
	return errors.New("the segments never had all rows")
}

func (l *large) segments() (segment.Summary, error) {
	return segment.Inspect(filepath.Join(l.dir, "segments"))
}

// The server is idle when it has used less than idleShare of a processor in each of
// idleTimes periods.
const (
	idleShare = 0.05
	idleTimes = 5
	idleWait  = 10 * time.Minute // the limit
)

func (l *large) waitIdle() error {
	period, limit := l.suite.size.duration/3, time.Now().Add(idleWait)
	last, err := l.ProcessorTime()
	for idle := 0; idle < idleTimes && err == nil; {
		if time.Now().After(limit) {
			return fmt.Errorf("the server is not idle after %v", idleWait)
		}
		select {
		case <-time.After(period):
		case <-l.suite.ctx.Done():
			return l.suite.ctx.Err()
		}
		var used time.Duration
		if used, err = l.ProcessorTime(); float64(used-last) <= idleShare*float64(period) {
			idle++
		} else {
			idle = 0
		}
		last = used
	}
	return err
}

// measureDisk measures the size of the data directory.
func (l *large) measureDisk() error {
	bytes := int64(0)
	err := filepath.WalkDir(l.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file that the server has just removed
		}
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	descriptors := float64(l.rows) * float64(l.data.version.Size())
	l.suite.addServiceFigure(fmt.Sprintf("disk space with %d rows", l.rows), float64(bytes)/1e6, "MB")
	l.suite.measured["disk-10m"] = gate.Measurement{Value: float64(bytes) / descriptors, Note: fmt.Sprintf("%d rows, %.0f of %.0f MB", l.rows, float64(bytes)/1e6, descriptors/1e6)}
	return nil
}

// measureRestart measures the time from exec to the first answer over all rows.
func (l *large) measureRestart() error {
	var speeds, seconds []float64
	for range 3 {
		if err := l.Stop(); err != nil {
			return err
		}
		s, err := l.segments()
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := errors.Join(l.start(), l.check()); err != nil {
			return err
		}
		took := time.Since(begin).Seconds()
		speeds, seconds = append(speeds, float64(s.Bytes)/1e9/took), append(seconds, took)
	}
	l.suite.addServiceFigure(fmt.Sprintf("restart with %d rows, page cache warm", l.rows), stat.Median(seconds), "s")
	l.suite.recordBar("restart-10m", stat.Summarize(speeds), fmt.Sprintf("%d rows, %.2f s", l.rows, stat.Median(seconds)))
	return nil
}
