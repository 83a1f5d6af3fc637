package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	people         = 100 // persons of day.txtar
	pictures       = 5   // enrolled pictures of each person
	visitor        = 42  // the person of the searches that are not for all persons
	dayThreshold   = 0.1 // of the searches of day.txtar
	dayMidpoint    = 100_000
	daySteepness   = 0.00005
	pictureNoise   = 12 // the maximum difference of a value from that of the person
	pictureLength  = 16
	pictureVersion = 1001
)

// picture is a picture of a person.
type picture struct {
	id, person string
	data       []byte
}

// takePicture returns a picture that differs a little from the person.
func takePicture(r *rand.Rand, person []byte, id, name string) picture {
	data := slices.Clone(person)
	for i := range data {
		data[i] += byte(r.IntN(2*pictureNoise+1) - pictureNoise)
	}
	return picture{id, name, data}
}

// takePictures returns the pictures that are enrolled, and one new picture of each person.
// Both are always the same.
func takePictures() (enrolled, visits []picture) {
	r := rand.New(rand.NewPCG(7, 7))
	for n := range people {
		person, name := make([]byte, pictureLength), fmt.Sprintf("person-%02d", n)
		for i := range person {
			person[i] = byte(pictureNoise + r.IntN(256-2*pictureNoise))
		}
		for i := range pictures {
			enrolled = append(enrolled, takePicture(r, person, fakeID(n*pictures+i+1), name))
		}
		visits = append(visits, takePicture(r, person, "visit of "+name, name))
	}
	return enrolled, visits
}

// ranked is a row of an expected answer.
type ranked struct {
	picture
	similarity, distance float64
}

// compareAll compares each of the enrolled pictures with the references. It computes the
// formulas of docs/api.md, sections "Distance", "Similarity" and "Several references as
// one", without code of the server.
func compareAll(references, enrolled []picture, mean bool) []ranked {
	rows := make([]ranked, 0, len(enrolled))
	for _, p := range enrolled {
		row := ranked{picture: p, distance: math.Inf(1)}
		var similarities, distances float64
		for _, reference := range references {
			d := squaredDistance(reference.data, p.data)
			similarities += similarityOf(d)
			distances += d
			row.distance = min(row.distance, d)
		}
		row.similarity = similarityOf(row.distance)
		if mean {
			row.similarity, row.distance = similarities/float64(len(references)), distances/float64(len(references))
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b ranked) int {
		if mean {
			return cmp.Or(cmp.Compare(b.similarity, a.similarity), cmp.Compare(a.distance, b.distance), cmp.Compare(a.id, b.id))
		}
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.id, b.id))
	})
	return rows
}

func squaredDistance(a, b []byte) (sum float64) {
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return sum
}

func similarityOf(distance float64) float64 {
	return (1 + math.Exp(-daySteepness*dayMidpoint)) / (1 + math.Exp(daySteepness*(distance-dayMidpoint)))
}

// above returns the rows that pass dayThreshold.
func above(rows []ranked) []ranked {
	return slices.DeleteFunc(rows, func(row ranked) bool { return row.similarity < dayThreshold })
}

// bestOfPersons returns the first row of each person.
func bestOfPersons(rows []ranked) (best []ranked) {
	seen := map[string]bool{}
	for _, row := range rows {
		if !seen[row.person] {
			seen[row.person] = true
			best = append(best, row)
		}
	}
	return best
}

// without returns the rows whose objects are not references.
func without(rows []ranked, references ...picture) []ranked {
	return slices.DeleteFunc(slices.Clone(rows), func(row ranked) bool {
		return slices.ContainsFunc(references, func(p picture) bool { return p.id == row.id })
	})
}

// faceLines returns pictures as lines of an import.
func faceLines(all []picture) string {
	var lines strings.Builder
	for _, p := range all {
		data, _ := json.Marshal(p.data) // cannot fail: bytes become base64
		fmt.Fprintf(&lines, `{"face_id": %q, "external_id": %q, "descriptor": {"version": %d, "data": %s}}`+"\n", p.id, p.person, pictureVersion, data)
	}
	return lines.String()
}

// rowLines returns one line per row: the reference, the id of the face, its group if the
// rows are grouped, and its distance.
func rowLines(reference string, grouped bool, rows []ranked) string {
	var lines strings.Builder
	for _, row := range rows {
		group := ""
		if grouped {
			group = row.person
		}
		lines.WriteString(rowLine(reference, row.id, group, row.distance))
	}
	return lines.String()
}

func rowLine(reference, id, group string, distance float64) string {
	return strings.Join([]string{reference, id, group, fmt.Sprint(distance)}, "; ") + "\n"
}
