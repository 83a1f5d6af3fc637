package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/server"
	"nearside/internal/testkit"
	"nearside/matcher/store"
)

// withAudit starts a server with an audit.
func withAudit(change ...func(*audit.Settings)) func(*settings) {
	return func(s *settings) {
		s.audit = &audit.Settings{MaxBytes: 1 << 30, Match: true}
		for _, c := range change {
			c(s.audit)
		}
	}
}

// openAudit opens the audit until the test ends.
func (s *settings) openAudit(t testing.TB, log *audit.Log, objects *store.Store) {
	t.Helper()
	if s.audit == nil {
		return
	}
	if s.audit.File == "" {
		dir := t.TempDir()
		s.audit.File, s.audit.KeyFile = filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.key")
		check(t, os.WriteFile(s.audit.KeyFile, []byte(strings.Repeat("k", 32)), 0o600))
	}
	check(t, log.Open(t.Context(), *s.audit, objects))
	t.Cleanup(func() { check(t, log.Close()) })
}

// auditLine is a line of the audit.
type auditLine struct {
	RequestID string `json:"request_id"`
	Key       string
	Account   string `json:"account_id"`
	Address   string
	Operation string
	Target    string

	References []struct{ Type, ID, SHA256 string }
	Filters    []map[string]any
	Results    []string
	Count      int
	Status     int
}

// lines returns the lines of the audit, and checks its chain.
func (x *service) lines() (all []auditLine, text string) {
	x.Helper()
	s, head := x.auditSettings, x.audit.Head()
	names := append(testkit.Must(filepath.Glob(s.File+".*")), s.File)
	if _, err := audit.Verify(testkit.Must(audit.ReadKey(s.KeyFile)), names, &head); err != nil {
		x.Fatal(err)
	}
	var files strings.Builder
	for _, name := range names {
		files.Write(testkit.Must(os.ReadFile(name)))
	}
	text = files.String()
	for line := range strings.Lines(text) {
		var l auditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			x.Fatal(line, err)
		}
		all = append(all, l)
	}
	return all, text
}

// last returns the last line.
func (x *service) last() auditLine {
	x.Helper()
	all, _ := x.lines()
	return all[len(all)-1]
}

// TestAuditLines checks the line of each kind of operation.
func TestAuditLines(t *testing.T) {
	x := start(t, withAudit(func(s *audit.Settings) { s.Reads = true }))
	want := func(operation, target string, status, count int, results ...string) auditLine {
		t.Helper()
		l := x.last()
		if l.Operation != operation || l.Target != target || l.Status != status || l.Count != count || !slices.Equal(l.Results, results) || l.Address != "127.0.0.1" || l.RequestID == "" {
			t.Errorf("want %s %s %d %d %v, got %+v", operation, target, status, count, results, l)
		}
		return l
	}
	x.call("POST", "/1/lists", `{"list_id":"`+id(90)+`"}`).status(201)
	want("createList", "/1/lists", 201, 1, id(90))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	want("createFace", "/1/faces", 201, 1, id(1))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(409)
	want("createFace", "/1/faces", 409, 0)
	x.call("PUT", "/1/faces/"+id(2), face(2, descriptor(v4, 1, 2, 3, 5))).status(201)
	want("putFace", "/1/faces/"+id(2), 201, 1, id(2))
	x.call("PUT", "/1/faces/"+id(2)+"?account_id="+id(50), face(2, descriptor(v4, 1, 2, 3, 5))).status(403)
	if l := want("putFace", "/1/faces/"+id(2), 403, 0); l.Account != id(50) {
		t.Error(l)
	}
	x.call("PUT", "/1/faces/"+id(2), face(2, descriptor(v4, 1, 2, 3, 5))).status(200)
	want("putFace", "/1/faces/"+id(2), 200, 1, id(2))
	x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(90)+`","face_ids":["`+id(1)+`"]}`).status(204)
	if l := want("linkFaces", "/1/linker", 204, 1, id(1)); l.Filters[0]["action"] != "attach" || l.Filters[0]["list_id"] != id(90) {
		t.Error(l)
	}
	match := x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), `{"filters":{"origin":"faces","face_ids":["`+id(1)+`","`+id(2)+`"]},"limit":5}`)).status(201)
	l := want("matchFaces", "/1/matcher/faces", 201, 2, id(1), id(2))
	if r := l.References[0]; len(l.References) != 1 || r.Type != "face" || r.ID != id(1) || r.SHA256 != "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a" { // of 1, 2, 3, 4
		t.Error(l.References)
	}
	if len(l.Filters) != 1 || l.Filters[0]["origin"] != "faces" || l.RequestID != match.response.Header.Get("Luna-Request-Id") {
		t.Error(l)
	}
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(77), allFaces())).status(404)
	if l := want("matchFaces", "/1/matcher/faces", 404, 0); l.References[0].ID != id(77) || l.References[0].SHA256 != "" {
		t.Error(l)
	}
	x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces","face_ids":["`+id(1)+`"]}},"candidates":{"filters":{"origin":"faces"}},"limit":1}`).status(201)
	if l := want("crossMatchFaces", "/1/crossmatcher/faces", 201, 1, id(1)); len(l.Filters) != 2 || l.Filters[0]["face_ids"] == nil {
		t.Error(l)
	}
	x.call("POST", "/1/matcher/raw", `{"references":[{"type":"raw_descriptor","id":"p","data":`+descriptor(v4, 1, 1, 1, 1)+`}],"candidates":[{"type":"raw_descriptor","id":"q","data":`+descriptor(v4, 1, 1, 1, 1)+`}]}`).status(201)
	want("matchRaw", "/1/matcher/raw", 201, 1)
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	want("getFace", "/1/faces/"+id(1), 200, 1, id(1))
	x.call("POST", "/1/faces/find", `{"filters":{"face_ids":["`+id(2)+`"]}}`).status(200)
	if l := want("findFaces", "/1/faces/find", 200, 1, id(2)); len(l.Filters) != 1 || l.Filters[0]["face_ids"] == nil {
		t.Error(l)
	}
	x.call("GET", "/1/export?origin=faces", "").status(200)
	want("exportObjects", "/1/export", 200, 0)
	x.call("GET", "/config", "").status(200)
	want("getConfig", "/config", 200, 0)
	x.call("GET", "/livez", "").status(200)
	want("getConfig", "/config", 200, 0) // health has no line
	x.call("POST", "/1/faces/delete", `{"filters":{"face_ids":["`+id(1)+`"]}}`).status(200)
	if l := want("deleteFoundFaces", "/1/faces/delete", 200, 1, id(1)); l.Filters[0]["face_ids"] == nil {
		t.Error(l)
	}
	x.call("DELETE", "/1/faces?face_ids="+id(1), "").status(200)
	if l := want("deleteFaces", "/1/faces", 200, 0); l.Filters[0]["face_ids"] == nil {
		t.Error(l)
	}
	x.call("DELETE", "/1/faces/"+id(2), "").status(204)
	want("deleteFace", "/1/faces/"+id(2), 204, 1, id(2))
	x.call("DELETE", "/1/lists/"+id(90), "").status(204)
	want("deleteList", "/1/lists/"+id(90), 204, 1, id(90))
	var lines strings.Builder
	for n := range 250 {
		lines.WriteString(face(n+1000, descriptor(v4, 1, 1, 1, 1)) + "\n")
	}
	x.call("POST", "/1/import?origin=faces", lines.String(), "Content-Type", "application/x-ndjson").status(200)
	if l := x.last(); l.Operation != "importObjects" || l.Count != 250 || len(l.Results) != 100 || l.Results[0] != id(1000) {
		t.Error(l)
	}
	if _, text := x.lines(); regexp.MustCompile(`"data":|"descriptor":`).MatchString(text) {
		t.Error("the audit has descriptors")
	}
}

// TestAuditOfReads checks that reads have no line by default, and matches none if they are
// switched off.
func TestAuditOfReads(t *testing.T) {
	x := start(t, withAudit(func(s *audit.Settings) { s.Match = false }))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	x.call("GET", "/1/faces/"+id(2), "").status(404)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).status(201)
	if all, _ := x.lines(); len(all) != 1 {
		t.Error(all)
	}
}

// TestAuditOfRefusals checks the lines of requests that keys do not allow. Keys never appear.
func TestAuditOfRefusals(t *testing.T) {
	r := newKeyring()
	r.add(access.Key{Name: "slow", Roles: []access.Role{access.Match}, Rate: access.Rate{Requests: 1, Per: 3600e9}})
	x := startWithKeys(t, r, withAudit())
	x.key = ""
	for range 3 {
		x.call("GET", "/1/lists", "", "X-Api-Key", access.NewKey()).status(401)
	}
	secret := r.secrets["match"]
	x.call("DELETE", "/1/faces/"+id(1), "", "X-Api-Key", secret).status(403)
	if l := x.last(); l.Operation != "deleteFace" || l.Key != "match" || l.Status != 403 {
		t.Error(l)
	}
	x.call("GET", "/1/lists?api_key="+secret, "", "X-Api-Key", secret).status(400)
	x.call("GET", "/1/faces/"+secret, "", "X-Api-Key", r.secrets["write"]).status(400)
	for range 3 {
		x.call("POST", "/1/matcher/faces", matchBody(storedFace(77), allFaces()), "X-Api-Key", r.secrets["slow"])
	}
	check(t, x.audit.Close()) // it writes the lines of the last minute
	all, text := x.lines()
	counts := map[int]int{}
	for _, l := range all {
		if l.Operation == "denied" {
			counts[l.Status] += l.Count
		}
	}
	if counts[401] != 3 || counts[429] != 2 || counts[400] != 2 {
		t.Error(counts)
	}
	for name, secret := range r.secrets {
		if strings.Contains(text, secret[3:]) {
			t.Errorf("the audit has the key %s", name)
		}
	}
}

// breakAudit makes further lines fail, in an audit whose files have one line each.
func (x *service) breakAudit() {
	x.Helper()
	dir := filepath.Dir(x.auditSettings.File)
	check(x, os.Rename(dir, dir+"-away"))
	x.Cleanup(func() { check(x, os.Rename(dir+"-away", dir)) })
}

func oneLine(s *audit.Settings) { s.MaxBytes = 1 }

// TestAuditCannotBeWritten checks that operations which need a line are refused, and others
// are not.
func TestAuditCannotBeWritten(t *testing.T) {
	x := start(t, withAudit(oneLine))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.breakAudit()
	// The first one finds the fault when it writes its line.
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).fault(12052, "the audit cannot be written").status(507)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).fault(12052, "the audit cannot be written").status(507)
	x.call("POST", "/1/faces", face(2, descriptor(v4, 1, 2, 3, 4))).fault(12052, "the audit cannot be written")
	x.call("GET", "/1/plugins", "").fault(12052, "the audit cannot be written")
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	x.call("GET", "/readyz", "").status(200)
	x.call("GET", "/metrics", "").status(200)
	if x.memory.Stats().Rows[0] != 1 {
		t.Error("a refused write was stored")
	}
}

// TestAuditLinesBeforeAnswer checks that the line of an answer in pieces is written first.
func TestAuditLinesBeforeAnswer(t *testing.T) {
	x := start(t, withAudit(oneLine))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()), "Accept", "application/x-ndjson").status(201)
	if l := x.last(); l.Operation != "matchFaces" || l.Count != 1 || l.Status != 201 {
		t.Error(l)
	}
	x.breakAudit()
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()), "Accept", "application/x-ndjson").fault(12052, "the audit cannot be written")
}

// TestAuditPage checks the pages of GET /1/audit against the file.
func TestAuditPage(t *testing.T) {
	x := start(t, withAudit())
	for n := range 20 {
		x.call("POST", "/1/faces", face(n, descriptor(v4, 1, 2, 3, 4))).status(201)
		x.call("DELETE", "/1/faces/"+id(n), "").status(204)
	}
	_, text := x.lines()
	file := strings.Split(strings.TrimSpace(text), "\n")
	type page struct {
		Lines []json.RawMessage
		After int
		More  bool
		Head  struct {
			Seq  int
			Hash string
		}
	}
	get := func(query string) (p page) {
		t.Helper()
		a := x.call("GET", "/1/audit?"+query, "").status(200)
		check(t, json.Unmarshal(a.body, &p))
		return p
	}
	var got []string
	for after, more := 0, true; more && after < len(file); {
		p := get("page_size=7&after=" + itoa(after))
		for _, l := range p.Lines {
			got = append(got, string(l))
		}
		after, more = p.After, p.More
	}
	if !slices.Equal(got[:len(file)], file) {
		t.Errorf("%d lines, want %d", len(got), len(file))
	}
	if p := get("operation=deleteFace&page_size=1000"); len(p.Lines) != 20 || p.More || p.Head.Seq < 40 || len(p.Head.Hash) != 64 {
		t.Error(len(p.Lines), p.More, p.Head)
	}
	if p := get("from=2100-01-01T00:00:00Z"); len(p.Lines) != 0 {
		t.Error(len(p.Lines))
	}
	if p := get("to=2100-01-01T00:00:00Z&page_size=5"); len(p.Lines) != 5 || !p.More || p.After != 5 {
		t.Error(len(p.Lines))
	}
	if p := get("key=nobody"); len(p.Lines) != 0 {
		t.Error(len(p.Lines))
	}
	x.call("GET", "/1/audit?page_size=2&operation=deleteFace", "", "Accept", "application/msgpack").status(200).header("Content-Type", "application/msgpack")
	for query, path := range map[string]string{"from=x": "from", "to=x": "to", "after=-1": "after", "page_size=0": "page_size", "page_size=1001": "page_size", "x=1": "x"} {
		x.call("GET", "/1/audit?"+query, "").fault(12022, path)
	}
	start(t).call("GET", "/1/audit", "").fault(12010, "audit.file is not configured").status(http.StatusNotFound)
}

// TestOperationIDs checks that the operations which may have a line have the operationId of
// the API document.
func TestOperationIDs(t *testing.T) {
	doc := readSpec()
	documented := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if role, _ := op.Extensions["x-role"].(string); strings.HasPrefix(path, "/1/") || role == "admin" {
				documented[method+" "+pathID.ReplaceAllString(path, ":id")] = op.OperationID
			}
		}
	}
	if diff := cmp.Diff(documented, server.OperationIDs()); diff != "" {
		t.Error(diff)
	}
}
