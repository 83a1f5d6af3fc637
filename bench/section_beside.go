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

// crossRows is the number of faces of a cross match, which compares all with all. Both
// sides together have 100,000 objects, the default of limits.cross_match.
const crossRows = 50_000

// besideBars are the bars of this section. They need a server.
var besideBars = []string{"beside-cross-p50", "beside-cross-p99"}

// besideSection measures the latency of small matches, of one reference in a list of
// 1,000, while the server runs a cross match.
func (s *suite) besideSection() error {
	if _, err := os.Stat(s.binary); err != nil {
		s.skipBars(s.binary+" was not built; run make build", besideBars...)
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
	v, err := s.startService("beside", "")
	if err != nil {
		return err
	}
	defer v.Kill()
	var ids []string
	for _, d := range []*dataset{large, small} {
		list, _, err := v.importSet(d)
		if err != nil {
			return err
		}
		ids = append(ids, list)
	}
	if err := s.besideRuns(v, crossMatch(v.URL, ids[0], large.n), small, ids[1]); err != nil {
		return err
	}
	return v.Stop()
}

// besideRuns measures small matches alone and during cross matches, alternating. The
// cross match is repeated until the small matches end.
func (s *suite) besideRuns(v *service, cross *crossTarget, small *dataset, list string) error {
	begin := time.Now()
	if err := cross.runOnce(s.ctx); err != nil {
		return err
	}
	s.addServiceFigure(fmt.Sprintf("cross match of %d x %d faces", cross.rows, cross.rows), time.Since(begin).Seconds(), "s")
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // the report has only load runs without a cross match
	plan := load.Plan{Clients: besideClients, Rate: besideRate}
	var alone, beside [2][]float64 // p50 and p99 of each round
	for range besideRounds {
		a, err := s.loadRun(v, small, wire.JSON, 1, list, smallList, plan)
		if err != nil {
			return err
		}
		stop := cross.runRepeatedly(s.ctx)
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
		s.recordBar(id, stat.Summarize(ratios), fmt.Sprintf("%.2f ms alone, %.2f ms during a cross match", stat.Median(alone[i]), stat.Median(beside[i])))
	}
	return nil
}

// Small matches are due at a fixed rate. A client that waits for each answer would send
// fewer requests while answers are slow and so hide the slowness. The rate is far below
// the capacity of the server.
const (
	besideRounds  = 3 // each has one run alone and one during cross matches
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

// runOnce runs the cross match and checks that every face finds itself at distance 0.
// All faces are different.
func (c *crossTarget) runOnce(ctx context.Context) error {
	body, err := c.PostFirst(ctx)
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
		return errors.Join(fmt.Errorf("the cross match must have %d answers, got %d", c.rows, len(answer)), err)
	}
	for i, a := range answer {
		if len(a.Matches) != 1 || len(a.Matches[0].Result) != 1 {
			return fmt.Errorf("answer %d of the cross match must have one row", i)
		}
		if r := a.Matches[0].Result[0]; r.Face.ID != a.Reference.ID || r.Distance == nil || *r.Distance != 0 {
			return fmt.Errorf("answer %d of the cross match: face %s must find itself, got %s", i, a.Reference.ID, r.Face.ID)
		}
	}
	return nil
}

// runRepeatedly repeats the cross match until stop is called. stop waits for the end of
// the cross match in progress and returns the first error.
func (c *crossTarget) runRepeatedly(ctx context.Context) (stop func() error) {
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
