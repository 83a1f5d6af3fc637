package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// TestPagesAfterID reads all pages, one after the other, of all rows and of a few, while
// rows are written and deleted. Each object that exists the whole time must be returned
// exactly once.
func TestPagesAfterID(t *testing.T) {
	const rows = 6000
	p := newPair(t, Options{chunkRows: 2048}, memorytest.Version3())
	rng := rand.New(rand.NewPCG(3, 3))
	var kept, others []matcher.ID
	write := func(n int, user string) (ids []matcher.ID) {
		var changes []store.Change
		for range n {
			var id matcher.ID
			for i := range id {
				id[i] = byte(rng.Uint32())
			}
			ids = append(ids, id)
			c := memorytest.Put(id, 1, []byte{1, 2, 3})
			c.Object.UserData = user
			changes = append(changes, c)
		}
		p.commit(t, changes...)
		return ids
	}
	for len(kept) < rows {
		kept = append(kept, write(1+rng.IntN(500), strconv.Itoa(len(kept)%7))...)
		others = append(others, write(100, "0")...)
	}
	slices.SortFunc(kept, matcher.ID.Compare)
	user := "0"
	for _, f := range []matcher.Filter{{}, matcher.Where(matcher.AnyOf("user_data", user))} {
		var want, seen []matcher.ID
		for _, id := range kept {
			if o := p.Faces[id]; f.Fields == nil || o.UserData == user {
				want = append(want, id)
			}
		}
		page := matcher.Page{After: &matcher.ID{}, Size: 37}
		for {
			objects, _, err := p.Page(t.Context(), matcher.Faces, &f, nil, page)
			if err != nil {
				t.Fatal(err)
			}
			if len(objects) == 0 {
				break
			}
			for i := range objects {
				if _, ok := slices.BinarySearchFunc(kept, objects[i].ID, matcher.ID.Compare); ok {
					seen = append(seen, objects[i].ID)
				}
			}
			page.After = &objects[len(objects)-1].ID
			n := rng.IntN(len(others))
			p.commit(t, store.Change{Kind: store.DeleteObject, Origin: matcher.Faces, ID: others[n]})
			others[n] = write(1, "0")[0]
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw %d objects, want %d", len(seen), len(want))
		}
	}
}

// TestIDOrderGrows checks that sorted rows are kept and new rows are merged into them.
func TestIDOrderGrows(t *testing.T) {
	p := newPair(t, Options{chunkRows: 4096}, memorytest.Version3())
	all := memorytest.Rows3(0, 4000)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for first, step := 0, 1; first < len(all); first, step = first+step, step*2 {
		p.commit(t, all[first:min(first+step, len(all))]...)
		p.checkReads(t, &matcher.Filter{}, nil)
	}
	if parts := p.tables.Newest.Views[matcher.Faces][0].SortedByID(); len(parts) > 2 || len(parts[0]) < 4000-table.TailRows || len(parts[0]) > 4000 {
		t.Errorf("%d parts, %d rows are in order", len(parts), len(parts[0]))
	}
}

// TestPagesByTime tests extreme times, and ties by ID in both directions.
func TestPagesByTime(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	times := []matcher.Time{math.MinInt64, -1, 0, 0, 0, 1, math.MaxInt64}
	var changes []store.Change
	for i, at := range times {
		c := memorytest.Put(matcher.ID{byte(9 - i)}, 1, []byte{1, 2, 3})
		c.Object.CreateTime = at
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	check := func(order matcher.PageOrder, want ...byte) {
		t.Helper()
		for offset := range len(want) + 2 {
			objects, n, err := p.Page(t.Context(), matcher.Faces, &matcher.Filter{}, nil, matcher.Page{Order: order, Offset: offset, Size: 3})
			var got []byte
			for i := range objects {
				got = append(got, objects[i].ID[0])
			}
			if part := want[min(offset, len(want)):]; err != nil || n != len(want) || !bytes.Equal(got, part[:min(3, len(part))]) {
				t.Errorf("%s at %d: %v of %d, want a part of %v (%v)", order, offset, got, n, want, err)
			}
		}
	}
	check(matcher.PageByTimeAsc, 9, 8, 5, 6, 7, 4, 3)
	check(matcher.PageByTimeDesc, 3, 4, 5, 6, 7, 8, 9)
	check(matcher.PageByID, 3, 4, 5, 6, 7, 8, 9)
}

// TestPageOfEndedContext checks that Page returns the cause when its context has ended.
func TestPageOfEndedContext(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 100)...)
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, _, err := p.Page(ctx, matcher.Faces, &matcher.Filter{}, nil, matcher.Page{Size: 10}); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// BenchmarkPages reads 100,000 rows in pages.
func BenchmarkPages(b *testing.B) {
	p := newPair(b, Options{}, memorytest.Version3())
	all := memorytest.Rows3(0, 100_000)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for part := range slices.Chunk(all, 10_000) {
		p.commit(b, part...)
	}
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("after/size=%d", size), func(b *testing.B) {
			for b.Loop() {
				for page := (matcher.Page{After: &matcher.ID{}, Size: size}); ; {
					objects, _, err := p.Page(b.Context(), matcher.Faces, &matcher.Filter{}, nil, page)
					if err != nil {
						b.Fatal(err)
					}
					if len(objects) == 0 {
						break
					}
					page.After = &objects[len(objects)-1].ID
				}
			}
		})
	}
	for _, order := range []matcher.PageOrder{matcher.PageByID, matcher.PageByTimeAsc} {
		for _, offset := range []int{0, 50_000} {
			b.Run(fmt.Sprintf("order=%s/offset=%d/one", order, offset), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := p.Page(b.Context(), matcher.Faces, &matcher.Filter{}, nil, matcher.Page{Order: order, Offset: offset, Size: 1000}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
