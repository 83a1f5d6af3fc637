package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nearside/internal/access"
	"nearside/internal/config"
)

// newKey returns a key and its line of the configuration.
func newKey(name string, role access.Role) (key, line string) {
	key = access.NewKey()
	return key, "    " + config.KeyLine(access.Key{Name: name, SHA256: access.HashKey(key), Roles: []access.Role{role}}) + "\n"
}

// TestRotateKeys replaces the key of running clients with SIGHUP: no request fails. A key
// that was removed is refused. No key is in the log or in GET /config.
func TestRotateKeys(t *testing.T) {
	const reloaded = "log level reloaded"
	admin, adminLine := newKey("admin", access.Admin)
	first, firstLine := newKey("first", access.Match)
	second, secondLine := newKey("second", access.Match)
	with := func(lines ...string) string {
		return serveConfig + "access:\n  keys:\n" + adminLine + strings.Join(lines, "")
	}
	name := writeConfig(t, with(firstLine))
	p := serve(t, name, t.TempDir())
	status := func(key, path string) int {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := p.client.Do(request)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	var used atomic.Value
	used.Store(first)
	var failed, total atomic.Int64
	done := make(chan struct{})
	var clients sync.WaitGroup
	var inUse sync.RWMutex
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				inUse.RLock()
				if status(used.Load().(string), "/healthcheck") != http.StatusOK {
					failed.Add(1)
				}
				inUse.RUnlock()
				total.Add(1)
			}
		})
	}
	p.reload(t, name, with(firstLine, secondLine), reloaded)
	inUse.Lock()
	used.Store(second)
	inUse.Unlock()
	p.reload(t, name, with(secondLine), reloaded)
	if got := status(first, "/healthcheck"); got != http.StatusUnauthorized {
		t.Errorf("the removed key gets %d", got)
	}
	p.reload(t, name, with(secondLine, secondLine), "not reloaded: the configuration has faults") // keeps the keys
	p.reload(t, name, with(secondLine)+"  jwt: {secret_file: /nowhere}\n", "only partly reloaded")
	p.reload(t, name, "", "a reload cannot remove the last key") // an empty file, too, keeps the keys
	close(done)
	clients.Wait()
	if failed.Load() > 0 || total.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), total.Load())
	}
	for path, want := range map[string]int{"/livez": 200, "/version": 200, "/docs": 200, "/config": 401, "/metrics": 401} {
		if got := status("", path); got != want {
			t.Errorf("%s without a key: %d, want %d", path, got, want)
		}
	}
	if got := status(second, "/config"); got != http.StatusForbidden {
		t.Errorf("GET /config as match: %d", got)
	}
	p.key = admin
	var shown json.RawMessage
	p.mustCall(t, "GET", "/config", nil, &shown)
	hash := strings.Split(secondLine, `"`)[3]
	for _, secret := range []string{admin, first, second, hash} {
		if strings.Contains(string(shown)+p.log(), secret) {
			t.Errorf("%s is in the log or in GET /config", secret)
		}
	}
	if !strings.Contains(string(shown), `"name":"second"`) {
		t.Errorf("%s", shown)
	}
}

// TestClientsSendKeys checks the flags and the variable of clients, and what they say if a
// key is missing or may not do something.
func TestClientsSendKeys(t *testing.T) {
	writer, writerLine := newKey("writer", access.Write)
	matching, matchLine := newKey("matcher", access.Match)
	p := serve(t, writeConfig(t, serveConfig+"access:\n  keys:\n"+writerLine+matchLine), t.TempDir())
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("\n"+writer+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(env string, args ...string) (string, error) {
		t.Helper()
		command := exec.Command("nearside", append(args, "--url", p.url)...)
		command.Env = append(os.Environ(), "NEARSIDE_KEY="+env)
		out, err := command.CombinedOutput()
		if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "ns_") {
			t.Errorf("the output has a key: %s", out)
		}
		return string(out), err
	}
	good := func(env string, args ...string) {
		t.Helper()
		if out, err := run(env, args...); err != nil {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
	bad := func(want, env string, args ...string) {
		t.Helper()
		if out, err := run(env, args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v: %s, want %q", args, err, out, want)
		}
	}
	good("", "list", "create", "--key", writer)
	good(writer, "list", "create")
	good(matching, "list", "create", "--key-file", file) // the flag wins
	bad("12025", "", "list", "create")
	bad("12025", access.NewKey(), "list", "create")
	bad("needs the role write", matching, "list", "create")
	good(writer, "export")
	good("", "list", "find", "--key-file", file)

	// Vectors of a built-in version need nothing that a key without the role admin may not read.
	vectors := filepath.Join(t.TempDir(), "v.csv")
	if err := os.WriteFile(vectors, []byte("vector,user_data\n\""+strings.Repeat("1 ", 512)+"\",a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good(writer, "import", vectors, "--version", "59")
	probe := filepath.Join(t.TempDir(), "v.bvecs")
	if err := os.WriteFile(probe, append([]byte{0, 2, 0, 0}, make([]byte, 512)...), 0o600); err != nil {
		t.Fatal(err)
	}
	good(matching, "match", probe, "--version", "59")
	bad("GET /config needs the role admin", writer, "import", vectors, "--version", "1001")
	out, err := exec.Command("nearside", "doctor", "--ready", p.url).CombinedOutput() // open
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	good(writer, "bench", "--clients", "1", "--duration", "10ms", "--warm-up", "1ms")
}

// TestRemoteWithKey checks that a proxy sends the key of a remote, and reads its file again
// at a reload.
func TestRemoteWithKey(t *testing.T) {
	const list = "6c9a4f0e-0b51-4d6e-9c39-0a2f4be1c001"
	key, line := newKey("proxy", access.Read)
	admin, adminLine := newKey("admin", access.Admin)
	far := serve(t, writeConfig(t, serveConfig+"access:\n  keys:\n"+adminLine+line), t.TempDir())
	far.key = admin
	status, text, err := far.call("POST", "/1/import?list_id="+list, `{"descriptor":{"version":1001,"data":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}}`)
	if err != nil || status != http.StatusOK || !strings.Contains(string(text), `"accepted":1`) {
		t.Fatalf("%d %s %v", status, text, err)
	}
	file := filepath.Join(t.TempDir(), "key")
	write := func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(access.NewKey())
	text2 := serveConfig + "matchers: {remote: [{name: far, url: '" + far.url + "', lists: [" + list + "], key_file: '" + file + "'}]}\n"
	name := writeConfig(t, text2)
	near := serve(t, name, t.TempDir())
	match := func() (int, string) {
		t.Helper()
		status, text, err := near.call("POST", "/1/matcher/faces", map[string]any{
			"references": []any{map[string]any{"type": "raw_descriptor", "data": map[string]any{"version": 1001, "data": []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}}},
			"candidates": []any{map[string]any{"filters": map[string]any{"origin": "faces", "list_id": list}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return status, string(text)
	}
	if status, text := match(); status != http.StatusServiceUnavailable {
		t.Errorf("with a wrong key: %d %s", status, text)
	}
	write(key)
	near.reload(t, name, text2, "log level reloaded")
	eventually(t, func() error {
		if status, text := match(); status != http.StatusCreated || !strings.Contains(text, `"distance":0`) {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	near.reload(t, name, strings.ReplaceAll(text2, file, file+"2"), "only partly reloaded") // the remote stays
	if status, text := match(); status != http.StatusCreated {
		t.Errorf("%d %s", status, text)
	}
	if strings.Contains(near.log()+far.log(), "ns_") {
		t.Error("a log has a key")
	}
}
