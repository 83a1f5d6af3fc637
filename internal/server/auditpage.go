package server

import (
	"context"
	"encoding/hex"
	"math"
	"net/http"
	"time"

	"nearside/internal/audit"
	"nearside/matcher"
	"nearside/matcher/wire"
)

const (
	auditPageSize    = 100
	auditPageSizeMax = 1000
	auditPageBytes   = 4 << 20 // after that many bytes, a page has no further line
)

// listAudit sends a page of the audit.
func (s *Server) listAudit(ctx context.Context, x *exchange) error {
	if x.options.Audit.Settings().File == "" {
		return matcher.Errorf(matcher.CodeNoRoute, "there is no audit: audit.file is not configured")
	}
	q := audit.Query{Bytes: auditPageBytes}
	var err error
	if q.From, err = x.moment("from"); err != nil {
		return err
	}
	if q.To, err = x.moment("to"); err != nil {
		return err
	}
	if q.Size, err = x.number("page_size", auditPageSize, 1, auditPageSizeMax); err != nil {
		return err
	}
	after, err := x.number("after", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	q.After = uint64(after)
	q.Key, _ = x.parameter("key")
	q.Operation, _ = x.parameter("operation")
	if err := x.reserve(ctx, auditPageBytes); err != nil {
		return err
	}
	page, err := x.options.Audit.Page(ctx, q)
	if err != nil {
		return err
	}
	return x.sendBody(http.StatusOK, appendAuditPage(x.out, &page))
}

// moment returns a query parameter that is a time, or the zero time if it is missing.
func (x *exchange) moment(key string) (time.Time, error) {
	text, given := x.parameter(key)
	if !given {
		return time.Time{}, nil
	}
	t, err := matcher.ParseTime(text)
	if err != nil {
		return time.Time{}, matcher.Errorf(matcher.CodeBadInput, "%s: %w", key, err)
	}
	return time.UnixMilli(int64(t)), nil
}

// appendAuditPage encodes a page. In JSON, its lines have the bytes of the file, so that
// their hashes can be checked.
func appendAuditPage(f wire.Format, p *audit.Page) []byte {
	w := wire.NewWriter(nil, f)
	w.Object()
	w.Key("lines")
	w.Array(len(p.Lines))
	for _, line := range p.Lines {
		if f == wire.JSON {
			w.Raw(line)
		} else {
			w.Raw(wire.AppendValue(nil, f, jsonValue(line)))
		}
	}
	w.EndArray()
	w.Key("after")
	w.Int(int64(p.After))
	w.Key("more")
	w.Bool(p.More)
	w.Key("head")
	w.Object()
	w.Key("seq")
	w.Int(int64(p.Head.Seq))
	w.Key("hash")
	w.String(hex.EncodeToString(p.Head.Hash[:]))
	w.EndObject()
	w.EndObject()
	return w.Done()
}
