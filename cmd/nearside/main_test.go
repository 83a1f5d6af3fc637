package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nearside/internal/coding"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nearside": main})
}

// TestScripts runs the real main with the scripts in testdata. The script command
// fakeserver starts a server that records its requests in $WORK/server, and sets $URL;
// see fakeserver_test.go. The script command realserver starts a real one; see
// day_test.go.
func TestScripts(t *testing.T) {
	data, err := filepath.Abs("../../bench/data")
	if err != nil {
		t.Fatal(err)
	}
	servers := &realServers{t: t, running: map[*testscript.TestScript]*process{}}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DATA", data)
			env.Setenv("TABLES", filepath.Join(data, "../../internal/vectors/testdata"))
			env.Setenv("TESTDATA", filepath.Join(data, "../../cmd/nearside/testdata"))
			env.Setenv("PLUGINS", filepath.Join(data, "../../plugins"))
			env.Setenv("NO_PROXY", "*")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fakeserver": startFakeServer,
			"bytes":      writeBytes,
			"compress":   compressFiles,
			"cut":        cutFile,
			"realserver": servers.start,
			"killserver": servers.kill,
			"sameworld":  compareServers,
			"people":     writePeople,
			"rows":       writeRows,
			"postlines":  postForLines,
		},
	})
}

// writeBytes is the script command `bytes FILE TEXT`. It writes TEXT, in which escapes
// such as \x00 are bytes.
func writeBytes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes FILE TEXT")
	}
	text, err := unquote(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// compressFiles is the script command `compress FILE...`. It writes FILE.gz and FILE.zst.
func compressFiles(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		data, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path+".gz", coding.Append(nil, coding.Gzip, data), 0o600))
		ts.Check(os.WriteFile(path+".zst", coding.Append(nil, coding.Zstd, data), 0o600))
	}
}

// cutFile is the script command `cut FROM TO`. It copies a file without its last byte.
func cutFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FROM TO")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data[:len(data)-1], 0o600))
}
