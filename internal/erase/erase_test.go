package erase_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nearside/internal/erase"
	"nearside/internal/task"
	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/simd"
)

// Versions of the tests: bytes, floats with a byte copy, and floats scaled to length 1.
const (
	bytesVersion  = 1001
	floatVersion  = 1002
	cosineVersion = 1003
	dimensions    = 128
)

// world is an open data directory with tasks.
type world struct {
	testing.TB
	dir      string
	registry *matcher.Registry
	memory   *memory.Memory
	store    *store.Store
	tasks    *task.Runner
	rng      *rand.Rand
	options  erase.Options
}

func newWorld(t testing.TB, dir string, change func(*erase.Options)) *world {
	t.Helper()
	registry := testkit.Must(matcher.NewRegistry([]matcher.Version{
		{Number: bytesVersion, Type: matcher.FaceDescriptor, Encoding: matcher.Uint8, Length: dimensions, Scale: 128},
		{Number: floatVersion, Type: matcher.FaceDescriptor, Encoding: matcher.Float32, Length: dimensions, Metric: matcher.L2},
		{Number: cosineVersion, Type: matcher.FaceDescriptor, Encoding: matcher.Float32, Length: dimensions, Metric: matcher.Cosine},
	}))
	w := &world{TB: t, dir: dir, registry: registry, rng: rand.New(rand.NewPCG(1, 2))}
	w.memory = testkit.Must(memory.New(memory.Options{Registry: registry, Kernel: testkit.Must(simd.Select("auto")), Workers: 1}))
	w.store = testkit.Must(store.Open(context.Background(), store.Options{Dir: dir, Applier: w.memory, Cache: w.memory, SealAfter: 300, Warn: func(m string, args ...any) { t.Log(m, args) }}))
	w.options = erase.Options{Dir: dir, Store: w.store, Memory: w.memory, Registry: registry, BytesPerSecond: 1 << 30}
	if change != nil {
		change(&w.options)
	}
	w.tasks = testkit.Must(task.Open(filepath.Join(dir, "tasks"), slog.New(slog.DiscardHandler), erase.New(w.options)))
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.tasks.Close()
	testkit.Check(w, w.store.Close())
	w.memory.Close()
}

// object returns a random object with a descriptor of a version.
func (w *world) object(o matcher.Origin, version uint32) *matcher.Object {
	data := make([]byte, 0, 4*dimensions)
	for range dimensions {
		if version == bytesVersion {
			data = append(data, byte(w.rng.Uint32()))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(w.rng.NormFloat64())))
		}
	}
	obj := &matcher.Object{Origin: o, ID: w.id(), CreateTime: 1}
	if o == matcher.Events {
		obj.Event = &matcher.Event{}
	}
	obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: version, Data: data}
	return obj
}

func (w *world) id() (id matcher.ID) {
	binary.BigEndian.PutUint64(id[:], w.rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], w.rng.Uint64())
	return id
}

// fill stores n objects of each version, in commits of 50.
func (w *world) fill(o matcher.Origin, n int) []*matcher.Object {
	w.Helper()
	var all []*matcher.Object
	for _, v := range []uint32{bytesVersion, floatVersion, cosineVersion} {
		for range n {
			all = append(all, w.object(o, v))
		}
	}
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for at := 0; at < len(all); at += 50 {
		w.put(all[at:min(at+50, len(all))]...)
	}
	return all
}

func (w *world) put(objects ...*matcher.Object) {
	w.Helper()
	if _, err := w.store.PutObjects(context.Background(), nil, objects); err != nil {
		w.Fatal(err)
	}
}

func idsOf(objects []*matcher.Object) (ids []matcher.ID) {
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

// start starts an erasure.
func (w *world) start(r erase.Request) string {
	w.Helper()
	info, err := w.tasks.Start(erase.Kind, "", r)
	if err != nil {
		w.Fatal(err)
	}
	return info.ID
}

// wait waits for the end of a task, which must succeed.
func (w *world) wait(id string) erase.Report {
	w.Helper()
	info := w.end(id)
	if info.State != task.Done {
		w.Fatal(info.Error)
	}
	var r erase.Report
	if err := json.Unmarshal(info.Report, &r); err != nil {
		w.Fatal(err)
	}
	return r
}

// end waits for the end of a task.
func (w *world) end(id string) task.Info {
	w.Helper()
	for {
		info, err := w.tasks.Find(id)
		if err != nil {
			w.Fatal(err)
		}
		if info.State != task.Running {
			return info
		}
	}
}

// TestErase erases objects of two origins after updates, and searches the directory with
// the simplest means.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir, nil)
	faces, events := w.fill(matcher.Faces, 300), w.fill(matcher.Events, 100)
	var old [][]byte
	for _, o := range faces[:40] { // an older version of each
		next := w.object(o.Origin, o.Descriptors[0].Version)
		old = append(old, o.Descriptors[0].Data)
		next.ID = o.ID
		w.put(next)
		o.Descriptors = next.Descriptors
	}
	report := w.wait(w.start(erase.Request{Origin: matcher.Faces, IDs: erase.PackIDs(append(idsOf(faces[:60]), w.id()))}))
	if report.Objects != 60 || report.NotFound != 1 || len(report.Remains) != 0 || report.Shared != 0 || report.BytesRewritten == 0 || report.FilesVerified < 5 {
		t.Errorf("got %+v", report)
	}
	second := w.wait(w.start(erase.Request{Origin: matcher.Events, IDs: erase.PackIDs(idsOf(events[:10]))}))
	if second.Objects != 10 || len(second.Remains) != 0 {
		t.Errorf("got %+v", second)
	}
	erased := slices.Concat(faces[:60], events[:10])
	for _, o := range erased {
		old = append(old, o.Descriptors[0].Data, o.ID[:])
		if w.memory.Has(o.Origin, o.ID) {
			t.Errorf("%s is still in memory", o.ID)
		}
	}
	for name, text := range filesOf(t, dir) {
		for _, data := range old {
			if strings.Contains(text, string(data)) {
				t.Errorf("%s has %x", name, data[:16])
			}
		}
	}
	kept := slices.Concat(faces[60:], events[10:])
	for _, o := range kept {
		got, ok := w.memory.Get(o.Origin, o.ID, nil, true)
		if !ok || string(got.Descriptors[0].Data) != string(o.Descriptors[0].Data) {
			t.Errorf("%s is lost", o.ID)
		}
	}
}

// filesOf returns the contents of all files below dir.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	testkit.Check(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}))
	return files
}
