package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher/wire"
)

// crossRows are the faces of a cross match, which is of all with all: as many
// as the server's limit allows by default.
const crossRows = 50_000

// besideBars need a server.
var besideBars = []string{"beside-cross-p50", "beside-cross-p99"}

// besideSection measures small matches beside a large one: what one reference
// in a list of 1,000 waits while the server is at a cross match.
func (s *suite) besideSection() error {
	if _, err := os.Stat(s.binary); err != nil {
		s.skip(s.binary+" was not built (make build)", besideBars...)
		return nil
	}
	large, err := s.dataset(synth.Faces, u8x512, min(crossRows, s.size.rows))
	if err != nil {
		return err
	}
	small, err := s.dataset(synth.Uniform, u8x512, smallList)
	if err != nil {
		return err
	}
	v, err := s.serve("beside", "")
	if err != nil {
		return err
	}
	defer v.kill()
	var ids []string
	for _, d := range []*dataset{large, small} {
		list, _, err := v.importSet(d)
		if err != nil {
			return err
		}
		ids = append(ids, list)
	}
	if err := s.besideRuns(v, crossMatch(v.url, ids[0], large.n), small, ids[1]); err != nil {
		return err
	}
	return v.stop()
}

// besideRuns asks for small matches, alone and beside the cross match, in turn.
// The cross match begins again as long as they go on.
func (s *suite) besideRuns(v *service, cross *crossTarget, small *dataset, list string) error {
	begin := time.Now()
	if err := cross.once(s.ctx); err != nil {
		return err
	}
	s.tell(fmt.Sprintf("cross match of %d x %d faces", cross.rows, cross.rows), time.Since(begin).Seconds(), "s")
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // loads of the report are alone
	plan := load.Plan{Clients: besideClients, Rate: besideRate}
	var alone, beside [2][]float64 // p50 and p99, by round
	for range besideRounds {
		a, err := s.loadRun(v, small, wire.JSON, 1, list, smallList, plan)
		if err != nil {
			return err
		}
		stop := cross.repeat(s.ctx)
		b, err := s.loadRun(v, small, wire.JSON, 1, list, smallList, plan)
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		for i, l := range [2][2]float64{{a.Latency.P50, b.Latency.P50}, {a.Latency.P99, b.Latency.P99}} {
			alone[i], beside[i] = append(alone[i], l[0]), append(beside[i], l[1])
		}
	}
	for i, id := range besideBars {
		ratios := make([]float64, besideRounds)
		for r := range ratios {
			ratios[r] = beside[i][r] / alone[i][r]
		}
		s.measure(id, stat.RatioOf(ratios), fmt.Sprintf("%.2f ms alone, %.2f ms beside", stat.Median(alone[i]), stat.Median(beside[i])))
	}
	return nil
}

// Small matches are due at a fixed rate: a client that waits for its answer
// would ask less often when answers are slow, and hide them. The rate is far
// below what the server can do.
const (
	besideRounds  = 3 // runs alone, and runs beside
	besideRate    = 200
	besideClients = 64
)

// crossTarget is a cross match of a list with itself.
type crossTarget struct {
	load.Target
	rows int
}

func crossMatch(url, list string, rows int) *crossTarget {
	side := fmt.Sprintf(`{"filters":{"origin":"faces","list_id":%q}}`, list)
	body := fmt.Sprintf(`{"references":%s,"candidates":%s,"limit":1,"targets":["face_id","distance"]}`, side, side)
	return &crossTarget{load.Target{
		URL: url + "/1/crossmatcher/faces", ContentType: wire.JSON.MediaType(), Bodies: [][]byte{[]byte(body)}, Status: http.StatusCreated,
	}, rows}
}

// once does the cross match and checks that every face finds itself: all are
// different.
func (c *crossTarget) once(ctx context.Context) error {
	body, err := c.Once(ctx)
	if err != nil {
		return err
	}
	var answer []struct {
		Reference struct{ ID string }
		Matches   []struct {
			Result []struct {
				Face struct {
					ID string `json:"face_id"`
				}
				Distance *float64
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer) != c.rows {
		return errors.Join(fmt.Errorf("the cross match of %d faces has %d answers", c.rows, len(answer)), err)
	}
	for i, a := range answer {
		if len(a.Matches) != 1 || len(a.Matches[0].Result) != 1 {
			return fmt.Errorf("answer %d of the cross match has not one row", i)
		}
		if r := a.Matches[0].Result[0]; r.Face.ID != a.Reference.ID || r.Distance == nil || *r.Distance != 0 {
			return fmt.Errorf("answer %d of the cross match: %s finds %s, not itself", i, a.Reference.ID, r.Face.ID)
		}
	}
	return nil
}

// repeat does the cross match again and again until stop, which waits for the
// last one and returns the first error.
func (c *crossTarget) repeat(ctx context.Context) (stop func() error) {
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		send, closeAll := c.Connect(1)
		defer closeAll()
		for {
			if _, err := send(ctx, 0); err != nil {
				done <- fmt.Errorf("cross match: %w", err)
				return
			}
			select {
			case <-end:
				done <- nil
				return
			default:
			}
		}
	}()
	return func() error {
		close(end)
		return <-done
	}
}
