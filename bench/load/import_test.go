package load

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestImport posts three lines to servers that count them, reject one of them, or fail.
func TestImport(t *testing.T) {
	path, list := filepath.Join(t.TempDir(), "lines.ndjson"), matcher.NewID()
	testkit.Check(t, os.WriteFile(path, []byte("{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n"), 0o600))
	for _, c := range []struct {
		status, rejected int
		accepted         int
		fault            string
	}{
		{http.StatusOK, 0, 3, ""},
		{http.StatusOK, 1, 2, "HTTP 200"},
		{http.StatusServiceUnavailable, 0, 3, "HTTP 503"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); r.URL.Path != "/1/import" || q.Get("origin") != "faces" || q.Get("list_id") != list.String() || r.ContentLength != 27 {
				t.Errorf("request %s %d", r.URL, r.ContentLength)
			}
			lines := 0
			for s := bufio.NewScanner(r.Body); s.Scan(); {
				lines++
			}
			w.WriteHeader(c.status)
			_, _ = fmt.Fprintf(w, `{"accepted": %d, "rejected": %d, "errors": []}`, lines-c.rejected, c.rejected)
		}))
		accepted, err := Import(t.Context(), server.URL, path, matcher.Faces, list)
		if accepted != c.accepted || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("status %d, %d rejected: %d accepted, error %v", c.status, c.rejected, accepted, err)
		}
		server.Close()
	}
}
