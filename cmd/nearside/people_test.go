package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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

// without returns the rows that are none of the references.
func without(rows []ranked, references ...picture) []ranked {
	return slices.DeleteFunc(slices.Clone(rows), func(row ranked) bool {
		return slices.ContainsFunc(references, func(p picture) bool { return p.id == row.id })
	})
}

// writePeople is the script command `people`. It writes the pictures of the persons as
// faces.ndjson, a new picture of each person as visits.ndjson, and the expected answers as
// files in the form of the command rows:
//
//	identified.want  the nearest person of each new picture
//	near.want        what the first picture of the visitor finds above the threshold
//	persons.want     the best row of each person in near.want
//	others.want      near.want without that picture
//	best.want        the nearest persons of all pictures of the visitor together, without these pictures
//	mean.want        the same with the mean
func writePeople(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: people")
	}
	enrolled, visits := takePictures()
	write := func(name, text string) { ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600)) }
	write("faces.ndjson", faceLines(enrolled))
	write("visits.ndjson", faceLines(visits))

	var identified strings.Builder
	for _, visit := range visits {
		identified.WriteString(rowLines(visit.id, true, bestOfPersons(compareAll([]picture{visit}, enrolled, false))[:1]))
	}
	write("identified.want", identified.String())
	own := enrolled[visitor*pictures:][:pictures]
	near := above(compareAll(own[:1], enrolled, false))
	write("near.want", rowLines(own[0].id, false, near))
	write("persons.want", rowLines(own[0].id, true, bestOfPersons(near)))
	write("others.want", rowLines(own[0].id, false, without(near, own[0])))
	for name, mean := range map[string]bool{"best.want": false, "mean.want": true} {
		write(name, rowLines("together", true, bestOfPersons(without(compareAll(own, enrolled, mean), own...))[:20]))
	}
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

// answeredRow is a row of an answer of the server.
type answeredRow struct {
	Face struct {
		FaceID string `json:"face_id"`
	}
	Group    string
	Distance float64
}

// writeRows is the script command `rows TO FROM...`. It writes the rows of the answers of
// nearside match --json in files to the file TO, one per line.
func writeRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rows TO FROM...")
	}
	var lines strings.Builder
	for _, name := range args[1:] {
		var items []struct {
			Reference struct{ ID string }
			Matches   []struct{ Result []answeredRow }
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &items))
		for _, item := range items {
			for _, row := range item.Matches[0].Result {
				lines.WriteString(rowLine(item.Reference.ID, row.Face.FaceID, row.Group, row.Distance))
			}
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(lines.String()), 0o600))
}

// postForLines is the script command `postlines TO PATH BODY`. It sends the file BODY to
// the server at $URL and asks for lines. It writes the rows to the file TO like the command
// rows, and the last line to TO.end.
func postForLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: postlines TO PATH BODY")
	}
	body := ts.ReadFile(args[2])
	var asked struct{ References []struct{ ID string } }
	ts.Check(json.Unmarshal([]byte(body), &asked))
	answer := strings.SplitAfter(postAccepting(ts, args[1], body, "application/x-ndjson"), "\n")
	if len(answer) < 2 || answer[len(answer)-1] != "" {
		ts.Fatalf("the answer ends within a line: %q", answer)
	}
	end := len(answer) - 2
	var lines strings.Builder
	for _, line := range answer[:end] {
		var row answeredRow
		ts.Check(json.Unmarshal([]byte(line), &row))
		lines.WriteString(rowLine(asked.References[0].ID, row.Face.FaceID, row.Group, row.Distance))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(lines.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".end"), []byte(answer[end]), 0o600))
}

// postAccepting sends JSON to the server at $URL and returns the answer, which must have
// the given media type.
func postAccepting(ts *testscript.TestScript, path, body, media string) string {
	request, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+path, strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Accept", media)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusCreated || got != media {
		ts.Fatalf("%s, %s: %s", answer.Status, got, text)
	}
	return string(text)
}

// startRealServer returns the script command `realserver CONFIG`. It starts a server in its
// own process with a new data directory, and sets $URL. The server ends with the script.
func startRealServer(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: realserver CONFIG")
		}
		dir := ts.MkAbs("data")
		ts.Check(os.Mkdir(dir, 0o777))
		p := start(t, ts.MkAbs(args[0]), dir)
		ts.Defer(func() {
			if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				ts.Fatalf("%v", err)
			}
			p.wait()
		})
		if p.url == "" {
			ts.Fatalf("the server ended with code %d:\n%s", p.wait(), p.log())
		}
		ts.Setenv("URL", p.url)
	}
}
