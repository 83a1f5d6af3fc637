package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"nearside/matcher"
)

// Import posts a file of lines to the import of the server with the URL base, in one
// request, and puts the objects into a list. It returns the number of accepted lines. A
// rejected line is an error.
func Import(ctx context.Context, base, path string, origin matcher.Origin, list matcher.ID) (accepted int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	query := url.Values{"origin": {origin.String()}, "list_id": {list.String()}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/1/import?"+query.Encode(), f)
	if err != nil {
		return 0, err
	}
	request.ContentLength = info.Size()
	request.Header.Set("Content-Type", "application/x-ndjson")
	c := &http.Client{}
	defer c.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		return 0, fmt.Errorf("load: import: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("load: import: %w", err)
	}
	var answer struct{ Accepted, Rejected int }
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != http.StatusOK || answer.Rejected > 0 {
		return answer.Accepted, errors.Join(fmt.Errorf("load: import: HTTP %d: %.500s", response.StatusCode, text), err)
	}
	return answer.Accepted, nil
}
