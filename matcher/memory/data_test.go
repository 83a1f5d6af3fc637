package memory

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// rowsOfFile reads a .bvecs, .fvecs or .ivecs file. Each row has an int32 dimension,
// followed by the values.
func rowsOfFile(t *testing.T, name string, valueBytes int) [][]byte {
	t.Helper()
	b, err := os.ReadFile("../../bench/data/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]byte
	for len(b) > 0 {
		n := 4 + int(binary.LittleEndian.Uint32(b))*valueBytes
		rows = append(rows, b[4:n:n])
		b = b[n:]
	}
	return rows
}

// TestRealFaces matches each of the 88 faces against all of them, as uint8 and as float32
// with both metrics.
func TestRealFaces(t *testing.T) {
	s := matcher.Calibration{Midpoint: 12.6, Steepness: 1}
	unit := matcher.Calibration{Midpoint: 0.9, Steepness: 10}
	p := newPair(t, Options{chunkRows: 64},
		matcher.Version{Number: 1001, Length: 256, Scale: 128, Similarity: s},
		matcher.Version{Number: 2001, Length: 256, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: unit},
		matcher.Version{Number: 2002, Length: 256, Encoding: matcher.Float32, Metric: matcher.L2, Similarity: unit},
		matcher.Version{Number: 2003, Length: 256, Encoding: matcher.Float32, Metric: matcher.Cosine, Exact: matcher.Plain, Similarity: unit},
		matcher.Version{Number: 2004, Length: 256, Encoding: matcher.Float32, Metric: matcher.L2, Exact: matcher.Plain, Similarity: unit})
	file, err := os.Open("../../bench/data/faces.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var changes []store.Change
	floats := rowsOfFile(t, "faces.fvecs", 4)
	for scan := bufio.NewScanner(file); scan.Scan(); {
		var line struct {
			FaceID     string `json:"face_id"`
			ExternalID string `json:"external_id"`
			UserData   string `json:"user_data"`
			Descriptor struct {
				Version uint32
				Data    []byte
			}
		}
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		row := len(changes) / 5
		faces := []store.Change{memorytest.Put(matcher.MustID(line.FaceID), 1001, line.Descriptor.Data)}
		for _, version := range []uint32{2001, 2002, 2003, 2004} {
			faces = append(faces, memorytest.Put(matcher.NameID(fmt.Sprint(version, row)), version, floats[row]))
		}
		for _, c := range faces {
			c.Object.ExternalID, c.Object.UserData, c.Object.CreateTime = line.ExternalID, line.UserData, matcher.Time(row/4)
			changes = append(changes, c)
		}
	}
	if len(changes) != 5*88 {
		t.Fatalf("%d rows, want 5 x 88", len(changes))
	}
	p.commit(t, changes...)
	sets := []*matcher.Candidates{
		{Limit: 100},
		{Limit: 5, Threshold: 0.6},
		{Limit: 7, Filter: matcher.Where(matcher.AnyOf("user_data", "dark")), Order: matcher.ByTimeDesc, Threshold: 0.1},
	}
	var subs []matcher.SubRequest
	for _, c := range changes {
		d := c.Object.Descriptors[matcher.FaceDescriptor]
		for _, set := range sets {
			subs = append(subs, memorytest.Reference(p.options.Registry.Version(d.Version), d.Data, set))
		}
	}
	want := p.Expect(subs)
	for i := range subs {
		if i%3 == 0 && (len(want[i].Rows) != 88 || want[i].Rows[0].Distance > 1e-15) {
			t.Fatalf("the oracle is wrong: %d rows, nearest at %v", len(want[i].Rows), want[i].Rows[0].Distance)
		}
	}
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}

// TestSIFT matches the queries against the base, and compares the results with brute
// force and with the published ground truth. The ground truth orders ties by row, so the
// test compares the distances, and the rows of each distance as a set.
func TestSIFT(t *testing.T) {
	p := newPair(t, Options{chunkRows: 1024},
		matcher.Version{Number: 1002, Length: 128, Scale: 1, Similarity: matcher.Calibration{Midpoint: 60000, Steepness: 0.0001}})
	base := rowsOfFile(t, "sift-base.bvecs", 1)
	truth := rowsOfFile(t, "sift-groundtruth.ivecs", 4)
	var changes []store.Change
	rowOf := map[matcher.ID]int{}
	for row, data := range base {
		id := matcher.NameID(fmt.Sprint("sift", row))
		rowOf[id] = row
		changes = append(changes, memorytest.Put(id, 1002, data))
	}
	p.commit(t, changes...)
	v := p.options.Registry.Version(1002)
	all := &matcher.Candidates{Limit: 100, Targets: []string{"face_id"}}
	var subs []matcher.SubRequest
	for _, q := range rowsOfFile(t, "sift-query.bvecs", 1) {
		subs = append(subs, memorytest.Reference(v, q, all))
	}
	if len(base) != 4900 || len(subs) != 100 || len(truth) != 100 {
		t.Fatalf("%d base rows, %d queries, %d truths", len(base), len(subs), len(truth))
	}
	want := p.Expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) {
		p.check(t, subs, want)
		for i, r := range p.Match(t.Context(), subs) {
			byDistance := map[float64][]int{}
			for j, m := range r.Matches {
				nearest := int(binary.LittleEndian.Uint32(truth[i][4*j:]))
				query := subs[i].Reference.Descriptor.Data
				if d := p.Distance(v, query, base[nearest]); m.Distance != d {
					t.Fatalf("query %d, place %d: distance %v, the ground truth's %v", i, j, m.Distance, d)
				}
				byDistance[m.Distance] = append(byDistance[m.Distance], rowOf[m.ID], nearest)
			}
			last := r.Matches[len(r.Matches)-1].Distance // a limit may cut off other rows among its ties
			for d, rows := range byDistance {
				slices.Sort(rows)
				if once := slices.Compact(slices.Clone(rows)); d != last && 2*len(once) != len(rows) {
					t.Fatalf("query %d: rows at distance %v differ from the ground truth: %v", i, d, rows)
				}
			}
		}
	})
}
