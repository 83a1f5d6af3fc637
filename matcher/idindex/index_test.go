package idindex

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndex compares an index with a map while numbers come and go.
func TestIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := rng.Perm(5000) // key by number
	x := New(func(number uint32) int { return keys[number] })
	model := map[int]uint32{}
	largest := 0
	for step := range 60_000 {
		number := uint32(rng.IntN(len(keys)))
		if step%20_000 > 15_000 { // few numbers are left
			number %= 64
		}
		key := keys[number]
		if _, ok := model[key]; ok || step%20_000 > 10_000 {
			x.Remove(key)
			delete(model, key)
		} else {
			x.Add(number)
			model[key] = number
		}
		largest = max(largest, len(x.slots))
		if x.Len() != len(model) {
			t.Fatalf("step %d: %d numbers, want %d", step, x.Len(), len(model))
		}
		probe := keys[rng.IntN(len(keys))]
		want, wanted := model[probe]
		if got, ok := x.Find(probe); ok != wanted || got != want {
			t.Fatalf("step %d: key %d has number %d, %v; want %d, %v", step, probe, got, ok, want, wanted)
		}
		if step%500 == 0 {
			if got, want := slices.Sorted(x.All()), slices.Sorted(maps.Values(model)); !slices.Equal(got, want) {
				t.Fatalf("step %d: numbers %v, want %v", step, got, want)
			}
		}
		if len(x.slots) > slotsMin && len(x.slots) > 2+idleShare*max(1, x.Len()+1) {
			t.Fatalf("step %d: %d slots for %d numbers", step, len(x.slots), x.Len())
		}
	}
	if largest < 2000 {
		t.Errorf("the index never had more than %d slots", largest)
	}
}
