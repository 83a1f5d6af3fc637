package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"nearside/matcher"
)

// checkAlone refuses arguments that have no meaning for a complete export.
func (c *importCmd) checkAlone() error {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"FILE", len(c.Files) > 0},
		{"--list", c.List != ""},
		{"--version", c.Version != 0},
		{"--origin", c.Origin != "faces"},
		{"--ids", c.IDs != "auto"},
		{c.firstTableFlag(), c.firstTableFlag() != ""},
	} {
		if flag.given {
			return usagef("%s: must not be given together with --all", flag.name)
		}
	}
	return nil
}

// runAll sends a complete export to the server. Nothing is sent unless all files are as in
// the manifest.
func (c *importCmd) runAll(s *system) error {
	if err := c.checkAlone(); err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	m, err := readManifest(c.All)
	if err != nil {
		return err
	}
	if err := m.checkFiles(c.All); err != nil {
		return err
	}
	if err := server.checkSeesAll(s); err != nil {
		return err
	}
	if err := noteExpired(s, c.All, time.Now()); err != nil {
		return err
	}
	totals := map[string]summaryCounts{}
	err = sendAll(s, server, c.All, totals)
	rejected := int64(0)
	for _, t := range totals {
		rejected += t.Rejected
	}
	if err == nil && rejected > 0 {
		err = errReported
	}
	return errors.Join(err, printJSON(s, totals))
}

// summaryCounts are the numbers of accepted and rejected lines of a file.
type summaryCounts struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
}

// sendAll sends all files, in order, and sets the totals of those that were sent in whole
// or in part.
func sendAll(s *system, server *client, dir string, totals map[string]summaryCounts) error {
	up := newListUpload(s, server, filepath.Join(dir, listsFile))
	err := up.sendFile()
	totals[lists.plural] = up.total
	for o := range matcher.Origins {
		if err != nil {
			break
		}
		totals[o.String()], err = sendOrigin(s, server, o, filepath.Join(dir, originFile(o)))
	}
	return err
}

// sendOrigin sends the file of an origin.
func sendOrigin(s *system, server *client, o matcher.Origin, path string) (summaryCounts, error) {
	format, _ := inputFormatOf(path) // the names of files are known formats
	jobs := []job{{path: path, inputFormat: format, bytes: -1}}
	if err := checkJobs(jobs, nil, o); err != nil {
		return summaryCounts{}, err
	}
	up := newUpload(s, server, o, nil, jobs)
	defer up.progress.close()
	err := up.sendFile(jobs[0], nil, s.stdin)
	up.progress.close()
	up.reportRest()
	return summaryCounts{up.total.Accepted, up.total.Rejected}, err
}

// noteExpired prints how many attributes of the folder have expired since the export. The
// server accepts them, but they do not exist there.
func noteExpired(s *system, dir string, now time.Time) error {
	path := filepath.Join(dir, originFile(matcher.Attributes))
	expired := 0
	err := eachLine(path, func(number int64, line []byte) error {
		var fields struct {
			ExpireTime *time.Time `json:"expire_time"`
		}
		if err := json.Unmarshal(line, &fields); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
		if fields.ExpireTime != nil && !fields.ExpireTime.After(now) {
			expired++
		}
		return nil
	})
	if err == nil && expired > 0 {
		_, err = fmt.Fprintf(s.stderr, "nearside: %d attributes have expired since the export, so the server will not have them\n", expired)
	}
	return err
}

// eachLine calls f with each line of a file, without its line feed, and with its number
// from 1. f must not keep the line.
func eachLine(path string, f func(number int64, line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer closeRead(file)
	in := bufio.NewReaderSize(file, 256<<10)
	for number := int64(1); ; number++ {
		line, err := in.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if err := f(number, line); err != nil {
			return err
		}
	}
}
