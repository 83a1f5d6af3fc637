package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// faces holds the real faces: several pictures of each person.
type faces struct {
	list string
	all  []face
}

type face struct {
	ID         string `json:"face_id"`
	Person     string `json:"external_id"`
	Picture    string `json:"user_data"`
	Descriptor struct{ Data []byte }
}

// newFaces reads the faces and imports them into a new list.
func newFaces(s *service, data string) (*faces, error) {
	file := filepath.Join(data, "faces.ndjson")
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	set := &faces{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var picture face
		if err := json.Unmarshal(lines.Bytes(), &picture); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		set.all = append(set.all, picture)
	}
	set.list, err = s.importFile(file, len(set.all))
	return set, err
}

// neighbour is a face with its distance, as this program computes it.
type neighbour struct {
	*face
	distance float64
}

// neighbours returns all faces by distance, nearest first. Equal distances are ordered by
// ID.
func (set *faces) neighbours(of *face) []neighbour {
	const scale = 128
	all := make([]neighbour, len(set.all))
	for i := range set.all {
		sum := 0
		for j, x := range of.Descriptor.Data {
			d := int(x) - int(set.all[i].Descriptor.Data[j])
			sum += d * d
		}
		all[i] = neighbour{&set.all[i], float64(sum) / (scale * scale)}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].distance != all[j].distance {
			return all[i].distance < all[j].distance
		}
		return all[i].ID < all[j].ID
	})
	return all
}

// person is a line of the printed table.
type person struct {
	pictures, same             int     // number of pictures, and of those whose nearest other picture is of the same person
	distanceMax, similarityMin float64 // largest distance and smallest similarity of a nearest other picture
	strangers                  string  // nearest other pictures that are of different persons
}

// check matches every face with all faces and compares each row of each answer with this
// program's own computation.
func (set *faces) check(s *service, show bool) error {
	references := make([]any, len(set.all))
	for i := range set.all {
		references[i] = map[string]any{"type": "face", "id": set.all[i].ID}
	}
	a, err := s.match(references, set.list, len(set.all))
	if err != nil {
		return err
	}
	if len(a) != len(set.all) {
		return fmt.Errorf("faces: want %d answers, one per reference, got %d", len(set.all), len(a))
	}
	persons := map[string]*person{}
	for i := range set.all {
		got, want := a[i].Matches[0].Result, set.neighbours(&set.all[i])
		if len(got) != len(want) {
			return fmt.Errorf("faces: the answer for %s must have %d rows, got %d", set.all[i].ID, len(want), len(got))
		}
		other := -1
		for j, w := range want {
			if got[j].Face.ID != w.ID || got[j].Distance != w.distance {
				return fmt.Errorf("faces: row %d of the answer for %s is %s at %v, want %s at %v", j, set.all[i].ID, got[j].Face.ID, got[j].Distance, w.ID, w.distance)
			}
			if other < 0 && w.ID != set.all[i].ID {
				other = j
			}
		}
		p := persons[set.all[i].Person]
		if p == nil {
			p = &person{similarityMin: 1}
			persons[set.all[i].Person] = p
		}
		p.addPicture(&set.all[i], want[other], got[other].Similarity)
	}
	if show {
		printPersons(persons)
	}
	return nil
}

func (p *person) addPicture(f *face, n neighbour, similarity float64) {
	p.pictures++
	if n.Person == f.Person {
		p.same++
	} else {
		p.strangers += fmt.Sprintf(" %s: %s of %s;", f.Picture, n.Picture, n.Person)
	}
	p.distanceMax = max(p.distanceMax, n.distance)
	p.similarityMin = min(p.similarityMin, similarity)
}

func printPersons(persons map[string]*person) {
	names := make([]string, 0, len(persons))
	for name := range persons {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Printf("\n%-10s  %-31s  %-24s\n", "person", "nearest other is same person", "largest of these distances")
	same, all := 0, 0
	for _, name := range names {
		p := persons[name]
		same, all = same+p.same, all+p.pictures
		fmt.Printf("%-10s  %d of %d %-24s  distance %6.3f, similarity %.3f\n", name, p.same, p.pictures, p.strangers, p.distanceMax, p.similarityMin)
	}
	fmt.Printf("faces: %d of %d nearest other pictures are of the same person; all %d distances and positions equal brute force\n", same, all, all*all)
}
