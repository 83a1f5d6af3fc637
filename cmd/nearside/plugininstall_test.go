package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstallFromURL checks that a plugin of a server is installed only with its digest.
func TestInstallFromURL(t *testing.T) {
	const source = `return { api = 1, name = "far", kinds = { "background" }, permissions = { "redis:*" } }`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/far.lua":
			fmt.Fprint(w, source)
		case "/large.lua":
			_, _ = w.Write(make([]byte, packageBytes+1)) // the client may leave early
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "plugins")
	sum := sha256.Sum256([]byte(source))
	digest := hex.EncodeToString(sum[:])
	install := func(path string, flags ...string) (int, string) {
		var out bytes.Buffer
		code := runCommand(append([]string{"plugin", "install", s.URL + path, "--dir", dir, "--yes"}, flags...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	for _, c := range []struct{ path, digest, want string }{
		{"/far.lua", "", "--sha256 is required for a URL; what the server sent now has the digest " + digest},
		{"/far.lua", strings.Repeat("0", 64), "not the one of --sha256"},
		{"/large.lua", digest, "is larger than 16777216 bytes"},
		{"/none.lua", digest, "the server answered 404"},
		{"/far", digest, "the path of the URL must end with NAME.lua"},
	} {
		if code, out := install(c.path, "--sha256", c.digest); code == 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s, want %s", c.path, code, out, c.want)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder exists: %v", err)
	}
	if code, out := install("/far.lua", "--sha256", strings.ToUpper(digest)); code != 0 || !strings.Contains(out, "permission   redis:*\n") {
		t.Errorf("%d %s", code, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "far.lua")); err != nil || string(text) != source {
		t.Errorf("%s %v", text, err)
	}
}
