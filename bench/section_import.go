package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"nearside/bench/gate"
	"nearside/bench/load"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// importByHTTP measures one request that imports the lines of a dataset into a server of
// its own. The lines are a file before the measurement starts.
func (s *suite) importByHTTP(d *dataset) (err error) {
	v, err := s.startService("lines", "")
	if err != nil {
		return err
	}
	defer func() {
		v.Kill()
		err = errors.Join(err, os.RemoveAll(v.dir))
	}()
	path := filepath.Join(s.dir, "import.ndjson")
	if err := writeLines(path, d, d.n); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	list := matcher.NewID()
	begin := time.Now()
	accepted, err := load.Import(s.ctx, v.URL, path, matcher.Faces, list)
	if err != nil {
		return err
	}
	rate := float64(d.n) / time.Since(begin).Seconds()
	if accepted != d.n {
		return fmt.Errorf("import by HTTP: %d rows must be accepted, got %d", d.n, accepted)
	}
	if err := v.checkAnswer(d, list.String(), d.n); err != nil {
		return err
	}
	s.addServiceFigure(fmt.Sprintf("import of %d x %d bytes, durable, lines with base64 in one HTTP request", d.n, d.version.Size()), rate, "rows/s")
	s.measured["import-http"] = gate.Measurement{Value: rate, Note: fmt.Sprintf("%d rows, client on the same cores", d.n)}
	return nil
}

// writeLines writes the first rows of a dataset as lines of an import of faces.
func writeLines(path string, d *dataset, rows int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for i := range rows {
		o := matcher.Object{Origin: matcher.Faces, ID: idOf(i)}
		o.Descriptors[d.version.Type] = matcher.Descriptor{Version: d.version.Number, Data: d.row(i)}
		line = append(wire.AppendLine(line[:0], &o, nil, wire.BinaryDescriptors), '\n')
		_, _ = w.Write(line) // Flush returns its errors
	}
	return errors.Join(w.Flush(), f.Close())
}
