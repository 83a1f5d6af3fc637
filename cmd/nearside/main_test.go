package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nearside": main})
}

// TestScripts runs the real main by the scripts in testdata. The command
// fakeserver starts a server that keeps what it was sent in $WORK/server and
// sets $URL; see fakeserver_test.go.
func TestScripts(t *testing.T) {
	data, err := filepath.Abs("../../bench/data")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DATA", data)
			env.Setenv("PLUGINS", filepath.Join(data, "../../plugins"))
			env.Setenv("NO_PROXY", "*")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fakeserver": startFakeServer,
			"bytes":      writeBytes,
		},
	})
}

// writeBytes is the command `bytes FILE TEXT`: it writes TEXT, in which \x00
// and the like stand for bytes.
func writeBytes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes FILE TEXT")
	}
	text, err := unquote(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
