package matcher

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// TestArrange compares rows in groups with a search for each group in all sorted rows.
func TestArrange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		c := &Candidates{Limit: 1 + rng.IntN(8), Order: Order(rng.IntN(3))}
		if rng.IntN(4) > 0 {
			c.Group = &Grouping{By: GroupFields(Faces)[0], Size: 1 + rng.IntN(4)}
		}
		var rows []Match
		for i := range rng.IntN(40) {
			row := Match{ID: ID{byte(i)}, Distance: float64(rng.IntN(5)), CreateTime: Time(rng.IntN(4))}
			if c.Group != nil && rng.IntN(4) > 0 {
				row.Group = strconv.Itoa(rng.IntN(6))
			}
			rows = append(rows, row)
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		left := slices.SortedFunc(slices.Values(rows), func(a, b Match) int { return c.Order.Compare(&a, &b) })
		var want []Match
		for range c.Limit {
			if len(left) == 0 {
				break
			}
			first, size := left[0], 1
			want = append(want, first)
			left = slices.DeleteFunc(left[1:], func(row Match) bool {
				if first.Group == "" || row.Group != first.Group {
					return false
				}
				if size++; size <= c.GroupSize() {
					want = append(want, row)
				}
				return true
			})
		}
		if got := c.Arrange(&Reference{}, rows); !slices.Equal(got, want) {
			t.Fatalf("%+v:\n got %v\nwant %v", c, got, want)
		}
	}
}

// TestSelf checks which object each type of reference stands for.
func TestSelf(t *testing.T) {
	a, b := NewID(), NewID()
	for _, c := range []struct {
		ref  Reference
		want [Origins]bool // origins in which the object is left out
		id   ID
	}{
		{Reference{Type: RefFace, ID: a.String()}, [Origins]bool{Faces: true}, a},
		{Reference{Type: RefEvent, ID: a.String()}, [Origins]bool{Events: true}, a},
		{Reference{Type: RefAttribute, ID: a.String()}, [Origins]bool{Attributes: true}, a},
		{Reference{Type: RefFaceExternalID, ID: a.String(), ObjectID: b}, [Origins]bool{Faces: true}, b},
		{Reference{Type: RefEventExternalID, ID: "x", ObjectID: b}, [Origins]bool{Events: true}, b},
		{Reference{Type: RefEventTrackID, ID: "x", ObjectID: b}, [Origins]bool{Events: true}, b},
		{Reference{Type: RefRaw, ID: a.String()}, [Origins]bool{}, a},
		{Reference{Type: RefSDK, ID: a.String()}, [Origins]bool{}, a},
		{Reference{Type: RefRaw, ID: a.String(), Object: &ObjectKey{Attributes, b}}, [Origins]bool{Attributes: true}, b},
	} {
		for o := range Origins {
			var want []ID
			if c.want[o] {
				want = []ID{c.id}
			}
			sub := SubRequest{Reference: &c.ref, Candidates: &Candidates{Origin: o, ExcludeSelf: true}}
			if got := sub.Excluded(); !slices.Equal(got, want) {
				t.Errorf("%+v among %s: %v, want %v", c.ref, o, got, want)
			}
			sub.Candidates.ExcludeSelf = false
			if got := sub.Excluded(); got != nil {
				t.Errorf("without exclude_self: %v", got)
			}
		}
	}
}
