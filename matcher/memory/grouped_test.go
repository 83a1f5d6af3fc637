package memory

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/scan"
	"nearside/matcher/store"
)

// rankingFields sets a random group, offset, count and exclude_self of a candidate set.
func (w *world) rankingFields(c *matcher.Candidates) {
	if fields := matcher.GroupFields(c.Origin); len(fields) > 0 && w.IntN(2) == 0 {
		c.Group = &matcher.Grouping{By: testkit.Pick(w.Rand, fields...), Size: 1}
		if w.IntN(2) == 0 {
			c.Group.Size = 1 + w.IntN(matcher.GroupSizeMax)
		}
	}
	if w.IntN(2) == 0 {
		c.Offset = testkit.Pick(w.Rand, 1, 2, 3, 10, 50, 300, 1000)
	}
	c.Count, c.ExcludeSelf = w.IntN(2) == 0, w.IntN(2) == 0
}

// reference returns a reference without a descriptor that names the object of some origin
// with that ID in one of the possible ways, or does not name it.
func (w *world) reference(id matcher.ID) *matcher.Reference {
	return testkit.Pick(w.Rand,
		&matcher.Reference{Type: matcher.RefRaw, ID: id.String()},
		&matcher.Reference{Type: matcher.RefSDK, ID: id.String()},
		&matcher.Reference{Type: matcher.RefRaw, Object: &matcher.ObjectKey{Origin: matcher.Origin(w.IntN(int(matcher.Origins))), ID: id}},
		&matcher.Reference{Type: matcher.RefFace, ID: id.String()},
		&matcher.Reference{Type: matcher.RefEvent, ID: id.String()},
		&matcher.Reference{Type: matcher.RefAttribute, ID: id.String()},
		&matcher.Reference{Type: matcher.RefFaceExternalID, ID: "e0", ObjectID: id},
		&matcher.Reference{Type: matcher.RefEventTrackID, ID: "t0", ObjectID: id},
	)
}

// groupsOf returns changes that put n faces. The values of their external IDs are numbers
// below kinds, some faces have none. Distances to zero are equal in many groups.
func groupsOf(rng *rand.Rand, n, kinds, spread int) []store.Change {
	changes := make([]store.Change, n)
	for i := range changes {
		data := make([]byte, 8)
		binary.LittleEndian.PutUint32(data, uint32(rng.IntN(spread)))
		changes[i] = memorytest.Put(matcher.ID{0: byte(rng.Uint32()), 1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i), 15: 1}, 1, data)
		changes[i].Object.CreateTime = matcher.Time(rng.IntN(1 + n/3))
		if rng.IntN(20) > 0 {
			changes[i].Object.ExternalID = fmt.Sprint("person ", rng.IntN(kinds))
		}
	}
	return changes
}

func groupVersion() matcher.Version {
	return matcher.Version{Number: 1, Length: 8, Scale: 16, Similarity: matcher.Calibration{Midpoint: 200, Steepness: 0.01}}
}

// TestGroupsEqualBruteForce groups faces with many and with few values, in every order,
// for limits and offsets inside and beyond the answer, with every size of a group, and with
// thresholds that are the similarity of a row.
func TestGroupsEqualBruteForce(t *testing.T) {
	for name, kinds := range map[string]int{"one value": 1, "few": 7, "many": 300, "mostly single": 20_000} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(kinds)))
			p := newPair(t, Options{chunkRows: 512}, groupVersion())
			p.commit(t, groupsOf(rng, 3000, kinds, 50_000)...)
			v := p.options.Registry.Version(1)
			ids := slices.SortedFunc(maps.Keys(p.Faces), matcher.ID.Compare)
			var subs []matcher.SubRequest
			for i := range 120 {
				c := &matcher.Candidates{
					Limit: testkit.Pick(rng, 1, 2, 3, 10, 100, 1000), Offset: testkit.Pick(rng, 0, 0, 1, 5, 299, 3000, 5000),
					Order: matcher.Order(rng.IntN(3)), Count: rng.IntN(2) == 0, ExcludeSelf: rng.IntN(2) == 0,
				}
				c.Group = &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 1 + i%matcher.GroupSizeMax}
				sub := memorytest.Reference(v, nil, c)
				self := testkit.Pick(rng, ids...)
				sub.Reference.Type, sub.Reference.ID = matcher.RefFace, self.String()
				sub.Reference.Descriptor = p.Faces[self].Descriptor(matcher.FaceDescriptor)
				if rng.IntN(2) == 0 { // a threshold at the edge
					other := p.Faces[testkit.Pick(rng, ids...)]
					d := p.Distance(v, sub.Reference.Descriptor.Data, other.Descriptor(matcher.FaceDescriptor).Data)
					c.Threshold = v.SimilarityOf(d)
				}
				subs = append(subs, sub)
			}
			p.check(t, subs, p.Expect(subs))
		})
	}
}

// TestGroupsOfTogether groups, counts and skips rows for references with several parts, which
// leave out the faces of all their parts.
func TestGroupsOfTogether(t *testing.T) {
	uint8s := groupVersion()
	uint8s.Similarity = matcher.Calibration{Midpoint: 6, Steepness: 1}
	floats := matcher.Version{Number: 1, Encoding: matcher.Float32, Length: 2, Similarity: matcher.Calibration{Midpoint: 3, Steepness: 1}}
	for name, v := range map[string]matcher.Version{"uint8": uint8s, "float32": floats} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(9, uint64(v.Encoding)))
			p := newPair(t, Options{chunkRows: 512}, v)
			changes := groupsOf(rng, 2000, 200, 1<<24)
			for i := range changes {
				if v.Encoding == matcher.Float32 {
					row := []float32{float32(rng.IntN(30)) / 8, float32(rng.IntN(30)) / 8}
					changes[i].Object.Descriptors[matcher.FaceDescriptor].Data = memorytest.PackFloats(row)
				}
			}
			p.commit(t, changes...)
			version := p.options.Registry.Version(1)
			var subs []matcher.SubRequest
			for i := range 100 {
				c := &matcher.Candidates{
					Limit: testkit.Pick(rng, 1, 3, 10, 100), Offset: testkit.Pick(rng, 0, 0, 5, 299),
					Order: matcher.Order(rng.IntN(3)), Count: rng.IntN(2) == 0, ExcludeSelf: rng.IntN(2) == 0,
				}
				if rng.IntN(4) > 0 {
					c.Group = &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: testkit.Pick(rng, 1, 1, 2, 5)}
				}
				if rng.IntN(2) == 0 {
					c.Threshold = testkit.Pick(rng, 0.1, 0.5, 0.9)
				}
				sub := memorytest.Reference(version, nil, c)
				sub.Reference.Type, sub.Reference.Fuse = matcher.RefTogether, matcher.Fuse(i%2)
				for range 1 + rng.IntN(6) {
					face := testkit.Pick(rng, changes...).Object
					sub.Reference.Parts = append(sub.Reference.Parts, matcher.Reference{
						Type: matcher.RefFace, ID: face.ID.String(), Descriptor: face.Descriptor(matcher.FaceDescriptor),
					})
				}
				sub.Reference.Descriptor = matcher.Descriptor{Version: 1}
				subs = append(subs, sub)
			}
			want := p.Expect(subs)
			eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
		})
	}
}

// TestGroupsShareScans groups for many references at once, on every kernel and with several
// workers. Some references leave out their own face.
func TestGroupsShareScans(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	p := newPair(t, Options{}, groupVersion())
	changes := groupsOf(rng, 3000, 300, 1<<24)
	p.commit(t, changes...)
	v := p.options.Registry.Version(1)
	var subs []matcher.SubRequest
	for _, c := range []*matcher.Candidates{
		{Limit: 7, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 1}},
		{Limit: 5, Offset: 4, ExcludeSelf: true, Count: true, Threshold: 0.4, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 3}},
		{Limit: 3, Count: true, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 1}},
		{Limit: 300, Offset: 100, Count: true, Threshold: 0.5, ExcludeSelf: true},
	} {
		for i := range p.scheduler.WaveMax() + 5 {
			sub := memorytest.Reference(v, changes[i].Object.Descriptor(matcher.FaceDescriptor).Data, c)
			sub.Reference.Type, sub.Reference.ID = matcher.RefFace, changes[i].Object.ID.String()
			subs = append(subs, sub)
		}
	}
	want := p.Expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) { p.check(t, subs, want) })
}

// TestSlotsForMillions checks that 3 million groups can be counted within the 64 MiB that an
// answer may reserve.
func TestSlotsForMillions(t *testing.T) {
	slots := slotsFirst
	for slots*slotsFactor*scan.SlotBytes < 64<<20 {
		slots *= slotsFactor
	}
	if values := slots - slots/4; values < 3_000_000 {
		t.Errorf("the largest number of slots holds %d values", values)
	}
}

// TestCountManyGroups counts more groups than there is room for at first. The memory is
// reserved, and the request fails if it cannot be.
func TestCountManyGroups(t *testing.T) {
	const n = slotsFirst + 1000
	p := newPair(t, Options{}, groupVersion())
	var changes []store.Change
	for i := range n {
		data := make([]byte, 8)
		binary.LittleEndian.PutUint32(data, uint32(i))
		c := memorytest.Put(matcher.ID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16), 3: 1}, 1, data)
		c.Object.ExternalID = strconv.Itoa(i)
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	sub := memorytest.Reference(p.options.Registry.Version(1), make([]byte, 8), &matcher.Candidates{
		Limit: 1, Count: true, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 1},
	})
	sub.Explain = true
	reserved, refuse := 0, false
	ctx := matcher.WithTextRoom(t.Context(), func(bytes int) error {
		reserved += bytes
		if refuse {
			return matcher.Errorf(matcher.CodeTooMany, "no room")
		}
		return nil
	})
	r := p.Match(ctx, []matcher.SubRequest{sub})[0]
	if r.Err != nil || r.Count != n {
		t.Fatalf("%v: %d groups, want %d", r.Err, r.Count, n)
	}
	if want := scan.Slots(n) * scan.SlotBytes; reserved < want || reserved > 2*want {
		t.Errorf("%d bytes were reserved, want about %d", reserved, want)
	}
	if !strings.Contains(strings.Join(r.Scan.Steps, "\n"), "scanned 2 times, because") {
		t.Errorf("steps %q", r.Scan.Steps)
	}
	refuse = true
	if err := p.Match(ctx, []matcher.SubRequest{sub})[0].Err; matcher.CodeOf(err) != matcher.CodeTooMany || !strings.Contains(err.Error(), "count: ") {
		t.Errorf("without room: %v", err)
	}
}
