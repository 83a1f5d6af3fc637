package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nearside/bench/load"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// service is a server as a process of its own.
type service struct {
	suite   *suite
	dir     string // of its data
	config  string // its configuration file
	process *exec.Cmd
	url     string
}

var listening = regexp.MustCompile(`listening on (http://[0-9.:]+)`)

// serve starts a server with a name, data of its own, and more configuration
// than all have.
func (s *suite) serve(name, more string) (*service, error) {
	v := &service{suite: s, dir: filepath.Join(s.dir, name), config: filepath.Join(s.dir, name+".yaml")}
	if err := os.WriteFile(v.config, []byte(serverConfig(v.dir)+more), 0o600); err != nil {
		return nil, err
	}
	return v, v.start()
}

// start starts the server on a free port and waits until it can answer.
func (v *service) start() error {
	v.process = exec.CommandContext(v.suite.ctx, v.suite.binary, "serve", "--config", v.config,
		"--listen", "127.0.0.1:0", "--data-dir", v.dir)
	log, err := v.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := v.process.Start(); err != nil {
		return fmt.Errorf("%s: %w (make build)", v.suite.binary, err)
	}
	var said bytes.Buffer
	for lines := bufio.NewScanner(io.TeeReader(log, &said)); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			v.url = m[1]
			go io.Copy(io.Discard, log) //nolint:errcheck // ends with the process
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the server did not start:\n%s", said.String()), v.process.Wait())
}

// stop lets the server end in order.
func (v *service) stop() error {
	if err := v.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := v.process.Wait(); err != nil {
		return fmt.Errorf("the server did not stop in order: %w", err)
	}
	return nil
}

// kill ends the server without a warning, if it still runs.
func (v *service) kill() {
	if v.process != nil && v.process.Process != nil && v.process.ProcessState == nil {
		_ = v.process.Process.Kill() // it may have ended by itself
		_ = v.process.Wait()
	}
}

// importSet imports a dataset into a new list, checks an answer over it, and
// returns it with the seconds that the import took.
func (v *service) importSet(d *dataset) (list string, seconds float64, err error) {
	path := filepath.Join(v.suite.dir, "import.bvecs")
	if err := writeVectors(path, d, d.n); err != nil {
		return "", 0, err
	}
	if list, seconds, err = v.importFile(path, d.version.Number, d.n); err != nil {
		return "", 0, err
	}
	if err := v.check(d, list, d.n); err != nil {
		return "", 0, err
	}
	return list, seconds, os.Remove(path)
}

// importFile imports vectors with the command line into a new list and returns
// it, with the seconds from start to end.
func (v *service) importFile(path string, version uint32, rows int) (list string, seconds float64, err error) {
	begin := time.Now()
	c := exec.CommandContext(v.suite.ctx, v.suite.binary, "import", path, "--url", v.url, "--version", strconv.Itoa(int(version)), "--list", "new")
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
		return "", 0, fmt.Errorf("import: %d of %d rows were accepted", r.Accepted, rows)
	}
	return r.ListID, seconds, nil
}

// residentBytes returns what the server has in memory.
func (v *service) residentBytes() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

// requests describes match requests with the queries of a dataset.
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

// check asks once and compares the distances with the oracle's; the answer has
// to be about so many rows.
func (v *service) check(d *dataset, list string, rows int) error {
	m := requests(d, wire.JSON, 1, list)
	t := m.Target(v.url)
	t.URL += "?explain=1"
	body, err := t.Once(v.suite.ctx)
	if err != nil {
		return err
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
		return errors.Join(fmt.Errorf("%s: not one answer", m.Origin), err)
	}
	if scanned := answer[0].Matches[0].Plan.Rows; scanned != rows {
		return fmt.Errorf("the server compares with %d rows, not with %d", scanned, rows)
	}
	if list == "" {
		return nil
	}
	want, err := d.nearest(0, everything, depth)
	if err != nil {
		return err
	}
	for i, row := range answer[0].Matches[0].Result {
		if i >= len(want) || row.Distance != want[i].distance {
			return fmt.Errorf("row %d of the server's answer is at %v; the oracle disagrees", i, row.Distance)
		}
	}
	return nil
}

// writeVectors writes the first n rows as a .bvecs file.
func writeVectors(path string, d *dataset, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	dim := binary.LittleEndian.AppendUint32(nil, uint32(d.version.Length))
	for i := range n {
		_, _ = w.Write(dim) // Flush gives its errors
		_, _ = w.Write(d.row(i))
	}
	return errors.Join(w.Flush(), f.Close())
}

// serverConfig configures the versions of the suite.
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
