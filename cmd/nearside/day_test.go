package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

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

// realServers are the servers of scripts, each in its own process.
type realServers struct {
	t       *testing.T
	mu      sync.Mutex
	running map[*testscript.TestScript]*process
}

// start is the script command `realserver CONFIG [DIR]`. It starts a server with the data directory
// DIR, or data, and sets $URL. The server ends with the script.
func (r *realServers) start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: realserver CONFIG [DIR]")
	}
	dir := ts.MkAbs(append(args, "data")[1])
	ts.Check(os.MkdirAll(dir, 0o777))
	p := start(r.t, ts.MkAbs(args[0]), dir)
	r.mu.Lock()
	r.running[ts] = p
	r.mu.Unlock()
	ts.Defer(func() { endProcess(ts, p) })
	if p.url == "" {
		ts.Fatalf("the server ended with code %d:\n%s", p.wait(), p.log())
	}
	ts.Setenv("URL", p.url)
}

// kill is the script command `killserver`. It ends the last server of the script like a crash.
func (r *realServers) kill(ts *testscript.TestScript, neg bool, args []string) {
	r.mu.Lock()
	p := r.running[ts]
	r.mu.Unlock()
	if neg || len(args) != 0 || p == nil {
		ts.Fatalf("usage: killserver, after realserver")
	}
	endProcess(ts, p)
}

// endProcess kills a process, unless it has ended, and waits for its end.
func endProcess(ts *testscript.TestScript, p *process) {
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		ts.Fatalf("%v", err)
	}
	p.wait()
}
