package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/bench/load"
	"nearside/bench/process"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// service is a server that a section measures.
type service struct {
	*process.Server
	suite  *suite
	dir    string // its data directory
	config string // path of its configuration file
}

// startService starts a server. name determines its files; more is added to the
// configuration that all servers have.
func (s *suite) startService(name, more string) (*service, error) {
	v := &service{suite: s, dir: filepath.Join(s.dir, name), config: filepath.Join(s.dir, name+".yaml")}
	if err := v.writeConfig(more); err != nil {
		return nil, err
	}
	return v, v.start()
}

// writeConfig writes the configuration that all servers have, and more.
func (v *service) writeConfig(more string) error {
	return os.WriteFile(v.config, []byte(serverConfig(v.dir)+more), 0o600)
}

// start starts the server, which must not be running.
func (v *service) start() (err error) {
	v.Server, err = process.Start(v.suite.ctx, v.suite.binary, v.config, v.dir)
	return err
}

// importSet imports a dataset into a new list and checks an answer over that list. It
// returns the list's ID and the seconds of the import.
func (v *service) importSet(d *dataset) (list string, seconds float64, err error) {
	path := filepath.Join(v.suite.dir, "import.bvecs")
	if err := writeVectors(path, d.version.Length, d.n, d.row); err != nil {
		return "", 0, err
	}
	if list, seconds, err = v.importFile(path, d.version.Number, d.n, "new"); err != nil {
		return "", 0, err
	}
	if err := v.checkAnswer(d, list, d.n); err != nil {
		return "", 0, err
	}
	return list, seconds, os.Remove(path)
}

// importFile imports vectors with the command line, into the list with an ID, or into a
// new list if to is "new". It returns the list's ID and the seconds of the import.
func (v *service) importFile(path string, version uint32, rows int, to string) (list string, seconds float64, err error) {
	begin := time.Now()
	c := exec.CommandContext(v.suite.ctx, v.suite.binary, "import", path, "--url", v.URL, "--version", strconv.Itoa(int(version)), "--list", to)
	var fault bytes.Buffer
	c.Stderr = &fault
	out, err := c.Output()
	if err != nil {
		return "", 0, fmt.Errorf("import: %w: %s", err, fault.String())
	}
	seconds = time.Since(begin).Seconds()
	var r struct {
		Accepted int
		ListID   string `json:"list_id"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return "", 0, fmt.Errorf("import: %w", err)
	}
	if r.Accepted != rows {
		return "", 0, fmt.Errorf("import: %d rows must be accepted, got %d", rows, r.Accepted)
	}
	return r.ListID, seconds, nil
}

// requests returns match requests with the queries of a dataset.
func requests(d *dataset, f wire.Format, batch int, list string) load.Match {
	m := load.Match{Format: f, Version: d.version.Number, Batch: batch, Origin: matcher.Faces.String(), Limit: depth}
	for i := range queriesMax {
		m.Rows = append(m.Rows, d.query(i))
	}
	if list != "" {
		id := matcher.MustID(list)
		m.List = &id
	}
	return m
}

// checkAnswer sends one match request. It fails unless the server scans the given number
// of rows and the distances equal those of the oracle.
func (v *service) checkAnswer(d *dataset, list string, rows int) error {
	got, err := v.distances(requests(d, wire.JSON, 1, list), rows)
	if err != nil || list == "" {
		return err
	}
	nearest, err := d.nearest(0, everything, depth)
	if err != nil {
		return err
	}
	want := make([]float64, len(nearest))
	for i := range nearest {
		want[i] = nearest[i].distance
	}
	return compareDistances(got, want)
}

// compareDistances compares the distances of a server's answer with those of the oracle.
func compareDistances(got, want []float64) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("the distances of the server's answer are %v, those of the oracle %v", got, want)
	}
	return nil
}

// distances sends a match request and returns the distances of its answer. It fails unless
// the server scans the given number of rows.
func (v *service) distances(m load.Match, rows int) ([]float64, error) {
	t := m.Target(v.URL)
	t.URL += "?explain=1"
	body, err := t.PostFirst(v.suite.ctx)
	if err != nil {
		return nil, err
	}
	var answer []struct {
		Matches []struct {
			Result []struct{ Distance float64 }
			Plan   struct {
				Rows int `json:"rows_scanned"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer) != 1 || len(answer[0].Matches) != 1 {
		return nil, errors.Join(fmt.Errorf("%s: the response must have exactly one answer", m.Origin), err)
	}
	match := answer[0].Matches[0]
	if match.Plan.Rows != rows {
		return nil, fmt.Errorf("the server must scan %d rows, got %d", rows, match.Plan.Rows)
	}
	distances := make([]float64, len(match.Result))
	for i := range match.Result {
		distances[i] = match.Result[i].Distance
	}
	return distances, nil
}

// writeVectors writes rows to a .bvecs file. rowOf returns row i of n.
func writeVectors(path string, length, n int, rowOf func(i int) []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	dim := binary.LittleEndian.AppendUint32(nil, uint32(length))
	for i := range n {
		_, _ = w.Write(dim) // Flush returns its errors
		_, _ = w.Write(rowOf(i))
	}
	return errors.Join(w.Flush(), f.Close())
}

// serverConfig returns the configuration of a server, with the versions of the suite.
func serverConfig(data string) string {
	var text strings.Builder
	text.WriteString("data_dir: " + strconv.Quote(data) + "\nlog: {level: info, format: text}\ndescriptors:\n  versions:\n")
	for _, v := range versions {
		kind := fmt.Sprintf("scale: %d", v.Scale)
		if v.Encoding == matcher.Float32 {
			kind = "metric: " + v.Metric.String()
		}
		fmt.Fprintf(&text, "    - {number: %d, type: face, encoding: %s, length: %d, %s, similarity: {midpoint: %v, steepness: %v}}\n",
			v.Number, v.Encoding, v.Length, kind, v.Similarity.Midpoint, v.Similarity.Steepness)
	}
	return text.String()
}
