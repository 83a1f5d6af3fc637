package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// recorder is a model that records the changes of all calls of Apply.
type recorder struct {
	*model
	changes []Change
}

func (r *recorder) Apply(changes []Change) {
	r.changes = append(r.changes, changes...)
	r.model.Apply(changes)
}

// randomImport returns lines with repeated and existing IDs, several accounts, and
// lists that stay, are replaced or are new.
func randomImport(rng *rand.Rand) []ImportLine {
	lines := make([]ImportLine, 1+rng.IntN(60))
	for i := range lines {
		o := face(rng, id(rng.IntN(100)))
		if rng.IntN(8) == 0 {
			o.Account = id(2000 + rng.IntN(2))
		}
		if rng.IntN(10) == 0 {
			o.Origin = matcher.Events // refused if the line has a list
		}
		lines[i] = ImportLine{Object: o, HasLists: rng.IntN(2) == 0}
		if rng.IntN(3) == 0 {
			o.Lists = []matcher.ID{id(1000 + rng.IntN(6))}
		}
		if rng.IntN(3) == 0 {
			lines[i].AddList = id(1000 + rng.IntN(6))
		}
	}
	return lines
}

// TestTablesAndLogAreEquivalent checks that the results, the applied changes and the
// stored data do not depend on whether groups are written to the log or as tables.
func TestTablesAndLogAreEquivalent(t *testing.T) {
	noLeaks(t)
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	type result struct {
		changes []Change
		answers []string
		state   state
		tables  uint64
		found   *model
	}
	run := func(tableBytes int) (r result) {
		rng := rand.New(rand.NewPCG(11, 12))
		fs := smallDisk(vfs.NewMem())
		now := time.UnixMilli(0)
		o := Options{Dir: "/data", fs: fs, tableBytes: tableBytes, now: func() time.Time { now = now.Add(time.Second); return now }}
		m := &recorder{model: newModel()}
		o.Applier = m
		s, err := Open(ctx, o)
		testkit.Check(t, err)
		record := func(errs ...error) {
			for _, err := range errs {
				text := ""
				if err != nil {
					text = err.Error()
				}
				r.answers = append(r.answers, text)
			}
		}
		for range rounds {
			var account *matcher.ID
			if rng.IntN(4) == 0 {
				a := id(2000)
				account = &a
			}
			record(s.Import(ctx, account, randomImport(rng))...)
			list := id(1000 + rng.IntN(6))
			switch rng.IntN(4) {
			case 0:
				record(s.DeleteList(ctx, nil, list, nil))
			case 1:
				record(s.DeleteList(ctx, nil, list, func([]matcher.ID) ([]matcher.ID, error) {
					ids := m.faces(list)
					slices.SortFunc(ids, matcher.ID.Compare)
					return ids, nil
				}))
			case 2:
				record(s.DeleteObject(ctx, nil, matcher.Faces, id(rng.IntN(100))))
			case 3:
				_, err := s.PutObject(ctx, nil, face(rng, id(rng.IntN(100))))
				record(err)
			}
		}
		r.changes, r.state, r.tables = m.changes, s.state, s.db.Metrics().Ingest.Count
		testkit.Check(t, s.Close())
		_, r.found = open(t, Options{Dir: "/data", fs: fs})
		r.found.equal(t, m.model)
		return r
	}
	log, tables, mixed := run(1<<30), run(1), run(10_000)
	if log.tables != 0 || tables.tables < uint64(rounds) || mixed.tables == 0 || mixed.tables >= tables.tables {
		t.Errorf("ingested tables: log %d, tables %d, mixed %d", log.tables, tables.tables, mixed.tables)
	}
	for _, other := range []result{tables, mixed} {
		if !slices.Equal(log.answers, other.answers) {
			t.Error("the answers differ")
		}
		if !reflect.DeepEqual(log.changes, other.changes) {
			t.Error("the changes differ")
		}
		if log.state != other.state {
			t.Errorf("the states differ: %+v, %+v", log.state, other.state)
		}
		other.found.equal(t, log.found)
	}
}

// TestTableFaults checks that a group fails if its table cannot be written, that its
// changes are reverted, and that no file is left behind.
func TestTableFaults(t *testing.T) {
	noLeaks(t)
	check := func(name string, kind errorfs.OpKind, fault error, code matcher.Code) {
		t.Run(name, func(t *testing.T) {
			f := newFaults(func(op errorfs.Op) bool { return op.Kind == kind && path.Base(op.Path) == nameTable }, fault)
			s, m := open(t, Options{Dir: "/data", fs: f.disk, tableBytes: 10_000})
			testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1))))
			f.on.Store(true)
			release := blockWriter(t, s)
			var wg sync.WaitGroup
			var listErr error // of a request in the same group, which fails with it
			errs := make(chan []error, 1)
			wg.Go(func() { errs <- s.Import(ctx, nil, facesOf(seeded(), 0, 60, id(100))) })
			for len(s.queue) == 0 { // the import must be first
				runtime.Gosched()
			}
			wg.Go(func() { listErr = s.CreateList(ctx, &matcher.List{ID: id(101)}) })
			for len(s.queue) == 1 {
				runtime.Gosched()
			}
			release()
			wg.Wait()
			for _, err := range <-errs {
				wantCode(t, err, code)
			}
			wantCode(t, listErr, code)
			if f.hits.Load() == 0 {
				t.Error("no fault was injected")
			}
			f.on.Store(false)
			if s.Err() != nil || len(m.objects) != 1 || len(m.lists) != 0 {
				t.Fatalf("%v; %d objects, %d lists", s.Err(), len(m.objects), len(m.lists))
			}
			noOrphans(t, s, f.fs)
			wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(2), id(100))), matcher.CodeListNotFound)
			testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 0, 60, id(100)))...))
			noOrphans(t, s, f.fs)
			reopen(t, s, m)
		})
	}
	check("create, full", errorfs.OpCreate, syscall.ENOSPC, matcher.CodeFull)
	check("write, full", errorfs.OpFileWrite, syscall.ENOSPC, matcher.CodeFull)
	check("write, broken", errorfs.OpFileWrite, syscall.EIO, matcher.CodeUnavailable)
	check("sync, full", errorfs.OpFileSyncData, syscall.ENOSPC, matcher.CodeFull)
}

// noOrphans fails if table files remain that the database does not use. It waits,
// because Pebble deletes obsolete tables only after a compaction.
func noOrphans(t *testing.T, s *Store, fs vfs.FS) {
	t.Helper()
	if _, err := fs.Stat(s.tablePath()); err == nil {
		t.Error("the table was left behind")
	}
	orphan := func() string {
		names, err := fs.List("/data/pebble")
		testkit.Check(t, err)
		levels, err := s.db.SSTables()
		testkit.Check(t, err)
		known := map[string]bool{}
		for _, table := range slices.Concat(levels...) {
			known[table.FileNum.String()+".sst"] = true
		}
		for _, name := range names {
			if isTable(name) && !known[name] {
				return name
			}
		}
		return ""
	}
	for end := time.Now().Add(time.Minute); orphan() != ""; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("the database does not use the table %s", orphan())
		}
	}
}

// oneTable waits until a compaction has merged all tables into one. Until then there are
// files that the database does not need, or not yet, and damage to them is not detected.
func oneTable(t *testing.T, s *Store, fs vfs.FS) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		levels, err := s.db.SSTables()
		testkit.Check(t, err)
		names, err := fs.List("/data/pebble")
		testkit.Check(t, err)
		known, files := len(slices.Concat(levels...)), 0
		for _, name := range names {
			if isTable(name) {
				files++
			}
		}
		switch {
		case known == 1 && files == 1 && s.db.Metrics().Compact.NumInProgress == 0:
			return
		case time.Now().After(end):
			t.Fatalf("the database has %d tables and %d files of tables", known, files)
		}
	}
}

// TestTableDamage checks that Open detects a lost or changed table and a manifest that
// does not list it, also if a start from segments does not need the table.
func TestTableDamage(t *testing.T) {
	noLeaks(t)
	const tableFaces = 400 // several blocks
	live := smallDisk(vfs.NewCrashableMem())
	s, c := openCached(t, Options{Dir: "/data", fs: live, tableBytes: 10_000})
	testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 0, tableFaces, id(100)))...))
	oneTable(t, s, live)
	sealNow(t, s)
	for n := range 3 { // in the log, so that the state of the last commit is not lost with the table
		testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1000+n))))
	}
	want, c := c.clone(), c.copyOf()
	killed := smallDisk(live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()}))
	var name string
	var table []byte
	for n, b := range filesOf(t, killed) {
		if isTable(n) && len(b) > len(table) {
			name, table = n, b
		}
	}
	if len(table) < tableFaces*512 {
		t.Fatalf("the table %q has %d bytes, want at least %d", name, len(table), tableFaces*512)
	}
	try := func(what string, change func(fs vfs.FS)) {
		t.Helper()
		fs := cloneFS(t, killed)
		change(fs)
		if tryOpen(t, what, fs, want, c) {
			t.Errorf("%s was not detected", what)
		}
	}
	try("removal", func(fs vfs.FS) { testkit.Check(t, fs.Remove(name)) })
	rng := seeded()
	for range 8 {
		n := rng.IntN(len(table))
		try(fmt.Sprintf("cut to %d of %d", n, len(table)), func(fs vfs.FS) { setFile(t, fs, name, table[:n]) })
		try(fmt.Sprintf("flip at %d of %d", n, len(table)), func(fs vfs.FS) {
			b := slices.Clone(table)
			b[n] ^= 1 << rng.IntN(8)
			setFile(t, fs, name, b)
		})
	}
	forgotten := 0
	for n, manifest := range filesOf(t, killed) {
		if !strings.HasPrefix(path.Base(n), "MANIFEST") {
			continue
		}
		for at := 0; at < len(manifest); at += 1 + len(manifest)/15 {
			fs := cloneFS(t, killed)
			setFile(t, fs, n, manifest[:at])
			if !tryOpen(t, fmt.Sprintf("%s cut to %d of %d", n, at, len(manifest)), fs, want, c) {
				forgotten++
			}
		}
	}
	if forgotten == 0 {
		t.Error("no cut of a manifest was detected")
	}
	if !tryOpen(t, "undamaged", cloneFS(t, killed), want, c) {
		t.Error("the undamaged directory cannot be opened")
	}
}

// TestTablePoison checks that the store is poisoned if a table cannot be recorded in the
// manifest. Whether the next process finds the table is unknown then, so nothing is
// acknowledged and nothing is written any more.
func TestTablePoison(t *testing.T) {
	f := newFaults(func(op errorfs.Op) bool { return isManifest(op) && op.Kind == errorfs.OpFileWrite }, syscall.EIO)
	m := newModel()
	s, err := Open(ctx, Options{Dir: "/data", Applier: m, fs: f.disk, tableBytes: 10_000})
	testkit.Check(t, err)
	testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 0, 60, id(100)))...))
	// In a new directory the ID is still in the memtable. Pebble would delay a table
	// whose key range contains that key, and record it in the manifest later.
	testkit.Check(t, s.Close())
	m = newModel()
	s, err = Open(ctx, Options{Dir: "/data", Applier: m, fs: f.disk, tableBytes: 10_000})
	testkit.Check(t, err)
	f.on.Store(true)
	for _, err := range s.Import(ctx, nil, facesOf(seeded(), 100, 60, id(101))) {
		wantCode(t, err, matcher.CodeUnavailable)
	}
	wantCode(t, s.Err(), matcher.CodeUnavailable)
	wantCode(t, s.Close(), matcher.CodeUnavailable)
	s2, found := open(t, Options{Dir: "/data", fs: smallDisk(f.fs.CrashClone(vfs.CrashCloneCfg{}))})
	if n := len(found.objects); n != 60 && n != 120 {
		t.Errorf("%d objects, want 60 or 120", n)
	}
	testkit.Check(t, errors.Join(s2.Import(ctx, nil, facesOf(seeded(), 200, 60, id(101)))...))
}
