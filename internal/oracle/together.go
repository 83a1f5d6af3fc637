package oracle

import (
	"math"

	"nearside/internal/testkit"
)

// partsMax is the largest number of references that are treated as one.
const partsMax = 32

// resolveTogether returns the probe of a reference of type together, and an error code or 0.
func (w *World) resolveTogether(ref map[string]any, body bool, account string) (found []probe, code int) {
	id, _ := ref["id"].(string)
	p := probe{echo: map[string]any{"type": "together", "id": id}, together: true, mean: ref["fuse"] == "mean"}
	for _, inner := range ref["references"].([]any) {
		parts, code := w.resolve(inner.(map[string]any), body, account)
		if code != 0 {
			return nil, code
		}
		for _, part := range parts {
			if part.vector == nil {
				continue // a key without objects
			}
			if p.vector == nil {
				p.vector = part.vector
			}
			if part.vector.model != p.vector.model {
				return []probe{p}, 31005 // with the parts that count before it
			}
			p.parts = append(p.parts, part.vector)
			p.selfs = append(p.selfs, part.selfs...)
		}
	}
	if len(p.parts) > partsMax {
		return nil, 31007
	}
	return []probe{p}, 0
}

// count returns for how many references p counts.
func (p probe) count() int { return max(1, len(p.parts)) }

func countOf(probes []probe) (n int) {
	for _, p := range probes {
		n += p.count()
	}
	return n
}

// figures returns the distance and the similarity of a row (docs/api.md 3).
func (p probe) figures(row *vector) (distance, similarity float64) {
	if !p.together {
		distance = p.vector.distance(row)
		return distance, p.vector.similarity(distance)
	}
	nearest, sum := math.Inf(1), 0.0
	for _, part := range p.parts {
		d := part.distance(row)
		nearest = math.Min(nearest, d)
		sum += d
		if p.mean {
			similarity += part.similarity(d)
		}
	}
	if n := float64(len(p.parts)); p.mean {
		return sum / n, similarity / n
	}
	return nearest, p.vector.similarity(nearest)
}

// togetherReference returns a reference of type together. Mostly its references have one
// version.
func (w *World) togetherReference(isBody bool, account string) map[string]any {
	m := w.randomModel(isBody)
	fits := func(part map[string]any) bool {
		found, code := w.resolve(part, isBody, account)
		for _, p := range found {
			if p.vector != nil && p.vector.model != m {
				return false
			}
		}
		return code == 0 && len(found) <= 4
	}
	parts := []any{}
	for range testkit.Pick(w.rng, []int{1, 2, 2, 3, 3, 5}...) {
		part := w.plainReference(isBody, account)
		for i := 0; i < 10 && !fits(part) && w.Chance(0.98); i++ {
			part = w.plainReference(isBody, account)
		}
		if !fits(part) && w.Chance(0.98) {
			part = w.givenReference("raw_descriptor", w.newVector(m))
		}
		parts = append(parts, part)
	}
	ref := map[string]any{"type": "together", "references": parts}
	if w.Chance(0.8) {
		ref["id"] = testkit.Pick(w.rng, []string{"mine", "é/1", ""}...)
	}
	if fuse := testkit.Pick(w.rng, []any{"best", "mean", "mean", nil}...); fuse != nil {
		ref["fuse"] = fuse
	}
	return ref
}

// partsOf returns the references of a reference of type together, or the reference itself.
func partsOf(ref any) []any {
	if parts, ok := ref.(map[string]any)["references"].([]any); ok {
		return parts
	}
	return []any{ref}
}
