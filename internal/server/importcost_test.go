package server

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// costRegistry has versions of 4, 512 and 2048 bytes, whose numbers are the same, and version
// 4096 of 512 float32.
func costRegistry(t *testing.T) *matcher.Registry {
	t.Helper()
	var versions []matcher.Version
	for _, length := range []int{4, 512, 2048} {
		versions = append(versions, matcher.Version{Number: uint32(length), Encoding: matcher.Uint8, Length: length, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	}
	versions = append(versions, matcher.Version{Number: 4096, Encoding: matcher.Float32, Length: 512, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	return testkit.Must(matcher.NewRegistry(versions))
}

// costLines are lines of many shapes, also those that a hostile client would choose.
func costLines() map[string]func() string {
	descriptor := func(length int) string {
		return fmt.Sprintf(`descriptor":{"version":%d,"data":"%s"}}`, length, base64.StdEncoding.EncodeToString(make([]byte, length)))
	}
	repeat := func(count int, next func() string) string {
		all := make([]string, count)
		for i := range all {
			all[i] = next()
		}
		return strings.Join(all, ",")
	}
	id := func() string { return `"` + matcher.NewID().String() + `"` }
	named := []string{id(), id(), id(), id(), id(), id(), id(), id(), id(), id()}
	lists, accounts := strings.Join(named, ","), strings.Join(named, ":null,")+":null"
	return map[string]func() string{
		"tiny":      func() string { return `{"` + descriptor(4) },
		"512 bytes": func() string { return `{"face_id":` + id() + `,"external_id":"123456","` + descriptor(512) },
		"512 numbers": func() string {
			return `{"descriptor":{"version":4096,"data":[` + repeat(512, func() string { return "1" }) + `]}}`
		},
		"2048 bytes":      func() string { return `{"` + descriptor(2048) },
		"short texts":     func() string { return `{"user_data":"u","external_id":"e","avatar":"a","` + descriptor(4) },
		"long user_data":  func() string { return `{"user_data":"` + strings.Repeat("u", 1000) + `","` + descriptor(4) },
		"lists":           func() string { return `{"lists":[` + lists + `],"` + descriptor(4) },
		"lists, accounts": func() string { return `{"lists":[` + lists + `],"list_accounts":{` + accounts + `},"` + descriptor(4) },
		"list, account": func() string {
			return `{"lists":[` + named[0] + `],"list_accounts":{` + named[0] + `:null},"` + descriptor(4)
		},
		"new list":                func() string { return `{"lists":[` + id() + `],"` + descriptor(4) },
		"new lists":               func() string { return `{"lists":[` + repeat(10, id) + `],"` + descriptor(4) },
		"4097 bytes of user_data": func() string { return `{"user_data":"` + strings.Repeat("u", 4097) + `","` + descriptor(4) },
		"event":                   func() string { return `{"face_` + descriptor(4) },
		"event, one field":        func() string { return `{"location":{"geo_position":null},"face_` + descriptor(4) },
		"event, all fields": func() string {
			return `{"end_time":"2026-01-01T00:00:00Z","source":"s","track_id":"t","location":{"city":"c","area":"a","district":"d","street":"s","house_number":"h",` +
				`"geo_position":{"longitude":1,"latitude":2}},"top_match":{"similarity":0.5,"external_id":"e"},"meta":{"a":1},"face_` + descriptor(512)
		},
		"tags of one letter": func() string {
			return `{"tags":[` + repeat(100, func() string { return `"a"` }) + `],"face_` + descriptor(4)
		},
		"tags of two letters": func() string {
			return `{"tags":[` + repeat(100, func() string { return `"é"` }) + `],"face_` + descriptor(4)
		},
		"meta": func() string {
			return `{"meta":{"a":[` + repeat(100, func() string { return `{}` }) + `]},"face_` + descriptor(4)
		},
	}
}

// eachCost calls check for each shape of lines, with a decoded block of that many lines.
func eachCost(t *testing.T, lines int, check func(name string, decode func() *lineBlock, bound int, room *importRoom)) {
	t.Helper()
	if testkit.RaceEnabled {
		t.Skip("the race detector allocates memory, too")
	}
	registry := costRegistry(t)
	for name, line := range costLines() {
		origin := matcher.Faces
		if strings.Contains(line(), "face_descriptor") {
			origin = matcher.Events
		}
		var all strings.Builder
		for range lines {
			all.WriteString(line() + "\n")
		}
		text := all.String()
		d, room := costDecoder(t, registry, origin)
		bound := objectsBound(origin, len(text), lines)
		check(name, func() *lineBlock {
			b := &lineBlock{text: []byte(text), room: testkit.Must(room.reserve(bound)), first: 1, done: make(chan struct{})}
			d.decodeBlock(b)
			if len(b.lines) != lines {
				t.Fatalf("%s: %v", name, b.errors)
			}
			return b
		}, bound, room)
	}
}

// TestObjectCost checks that objects take no more memory than their block counts, and not
// much less, and that the bound before the decoding is not below the cost after it.
func TestObjectCost(t *testing.T) {
	const lines = 1000
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	eachCost(t, lines, func(name string, decode func() *lineBlock, bound int, room *importRoom) {
		before := heap()
		b := decode()
		group := append([]store.ImportLine(nil), b.lines...)
		if made := heap() - before; made > b.cost.object || made < b.cost.object/4 {
			t.Errorf("%s: the objects take %d bytes per line, but count as %d", name, made/lines, b.cost.object/lines)
		}
		if b.cost.object > bound || b.room != b.cost.object || room.held != b.room {
			t.Errorf("%s: %d bytes were reserved per line, and %d after decoding, which count as %d", name, bound/lines, room.held/lines, b.cost.object/lines)
		}
		runtime.KeepAlive(b)
		runtime.KeepAlive(group)
		runtime.KeepAlive(decode) // and the text, which was counted before
	})
}

// TestCommitCost checks that a commit of lines allocates no more memory than they count.
// With fewer lines, it would mostly measure the memory that the store allocates now and
// then for many commits.
func TestCommitCost(t *testing.T) {
	const lines = 4000
	registry := costRegistry(t)
	eachCost(t, lines, func(name string, decode func() *lineBlock, _ int, _ *importRoom) {
		b := decode()
		if made := commitAllocates(t, registry, b.lines, b.cost.commit); made > b.cost.commit {
			t.Errorf("%s: a commit allocates %d bytes per line, but counts %d", name, made/lines, b.cost.commit/lines)
		}
	})
}

// costDecoder returns a decoder of lines, with its room for lines.
func costDecoder(t *testing.T, registry *matcher.Registry, o matcher.Origin) (lineDecoder, *importRoom) {
	t.Helper()
	decoder := &wire.Decoder{Registry: registry, Now: time.Now, Limits: wire.Limits{FilterValues: 10}}
	x := &exchange{limits: &limits{Limits: Limits{LineBytes: 10_000, Decoder: decoder}}}
	room := newImportRoom(t.Context(), semaphore.NewWeighted(1<<30), 1<<30)
	return lineDecoder{x: x, decoder: decoder.Lines(o), lines: room}, room
}

// commitAllocates returns how many bytes the store and the memory allocate to commit
// lines, without what they keep. Other goroutines allocate, too, up to a megabyte in some
// attempts. So if the result is more than want, it tries again, and returns the smallest.
func commitAllocates(t *testing.T, registry *matcher.Registry, lines []store.ImportLine, want int) (least int) {
	t.Helper()
	for try := 0; try == 0 || try < 10 && least > want; try++ {
		rows := testkit.Must(memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0]}))
		objects := testkit.Must(store.Open(t.Context(), store.Options{Dir: t.TempDir(), Applier: rows}))
		var before, after, end runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, err := range objects.Import(t.Context(), nil, lines) {
			testkit.Check(t, err)
		}
		runtime.ReadMemStats(&after)
		runtime.GC()
		runtime.ReadMemStats(&end)
		made := int(after.TotalAlloc-before.TotalAlloc) - max(0, int(end.HeapAlloc)-int(before.HeapAlloc))
		if try == 0 || made < least {
			least = made
		}
		testkit.Check(t, objects.Close())
		rows.Close()
	}
	return least
}

// TestRejectedLinesCostNothing checks that a block gives back the memory of lines
// without an object.
func TestRejectedLinesCostNothing(t *testing.T) {
	for line, want := range map[string]int{"": 0, "{": lineErrorMax * lineErrorBytes} {
		d, room := costDecoder(t, costRegistry(t), matcher.Faces)
		texts := newImportRoom(t.Context(), semaphore.NewWeighted(textRoom), textRoom)
		d.texts = texts
		const lines = 1000
		r := &lineReader{in: strings.NewReader(strings.Repeat(line+"\n", lines)), lineBytesMax: 1000, texts: texts, lines: room}
		b, err := r.nextBlock()
		if b == nil {
			t.Fatal(err)
		}
		if room.held != b.room || texts.held != b.textRoom || texts.held < len(b.text) {
			t.Errorf("%q: %d bytes are reserved for lines, but the block counts %d; %d for texts, but it counts %d for %d bytes", line, room.held, b.room, texts.held, b.textRoom, len(b.text))
		}
		if d.decodeBlock(b); b.room != want || room.held != want || texts.held != 0 {
			t.Errorf("%q: after decoding, %d bytes are reserved for lines and %d for texts; want %d and 0", line, room.held, texts.held, want)
		}
	}
}
