package server

import (
	"fmt"

	"nearside/matcher"
)

// Progress says how far the start of a server has come.
type Progress struct {
	Phase       string // what is being done, such as "loading"
	Done, Total uint64 // records; Total 0: unknown
}

func (p *Progress) String() string {
	if p.Total == 0 {
		return p.Phase
	}
	return fmt.Sprintf("%s, %d of %d records (%.0f %%)", p.Phase, p.Done, p.Total, 100*float64(p.Done)/float64(p.Total))
}

// SetProgress sets the progress of the start, which GET /readyz shows until Open.
func (s *Server) SetProgress(p Progress) { s.progress.Store(&p) }

// Open ends the start: requests that begin from now on are answered. A request has the
// state of its beginning until its end.
func (s *Server) Open(p Parts) { s.parts.Store(&p) }

var errStarting = matcher.Errorf(matcher.CodeUnavailable, "the server is starting; GET /readyz shows its progress")

// startingError returns the error of GET /readyz during a start. A request of an account
// does not see the numbers, because they count the records of all accounts.
func startingError(p *Progress) *matcher.Error {
	return matcher.Errorf(matcher.CodeUnavailable, "the server is starting: %s", p).
		Mask("the server is starting: " + p.Phase)
}
