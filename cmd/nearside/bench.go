package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nearside/bench/load"
	"nearside/matcher"
	"nearside/matcher/wire"
)

type benchCmd struct {
	remoteFlag
	List     string        `help:"Only the faces of this list." placeholder:"ID"`
	Version  uint32        `help:"Descriptor version to match (default: that of the first face)." placeholder:"N"`
	Clients  []int         `help:"Numbers of clients, one run for each." default:"1,4,16,64" placeholder:"N,..."`
	Duration time.Duration `help:"Length of a run." default:"5s"`
	WarmUp   time.Duration `help:"Length of what comes before and is not counted." default:"1s"`
	Rate     float64       `help:"Requests due per second; latencies then count from when requests were due. Without it each client sends its next request when it has its answer." placeholder:"R"`
	Batch    int           `help:"References of a request." default:"1" placeholder:"N"`
	Limit    int           `help:"Matches per reference." default:"10" placeholder:"K"`
	Format   string        `help:"Format of requests and answers." enum:"json,msgpack" default:"json"`
	JSON     bool          `help:"Show JSON."`
}

// Help is shown below the flags.
func (*benchCmd) Help() string {
	return `Examples:

    nearside bench --clients 1,16 --duration 10s
    nearside bench --rate 200 --clients 64 --batch 16

The references are descriptors of the server's own faces. The exit code is 1 when a request failed. The clients share the machine with what they measure, unless the server is on another.`
}

// benchAnswer is what --json shows.
type benchAnswer struct {
	URL     string         `json:"url"`
	Version uint32         `json:"version"`
	Kernel  string         `json:"kernel"`
	Rows    int            `json:"rows"` // compared with each reference
	Batch   int            `json:"batch"`
	Format  string         `json:"format"`
	Runs    []load.Summary `json:"runs"`
}

// Run measures one number of clients after the other.
func (c *benchCmd) Run(s *system) error {
	if err := c.check(); err != nil {
		return err
	}
	server, err := newClient(c.URL)
	if err != nil {
		return err
	}
	target, answer, err := c.target(s.ctx, server)
	if err != nil {
		return err
	}
	failed := 0
	for _, clients := range c.Clients {
		send, closeAll := target.Connect(clients)
		r, err := load.Run(s.ctx, load.Plan{Clients: clients, Duration: c.Duration, WarmUp: c.WarmUp, Rate: c.Rate}, load.Wall{}, send)
		closeAll()
		if err != nil {
			return server.explain(s.ctx, err)
		}
		failed += r.Failed()
		answer.Runs = append(answer.Runs, r.Summary(answer.Rows*answer.Batch))
	}
	if err := c.show(s, answer); err != nil {
		return err
	}
	if failed > 0 {
		return errReported
	}
	return nil
}

func (c *benchCmd) check() error {
	for _, n := range c.Clients {
		if n < 1 || n > load.ClientsMax {
			return usagef("--clients: %d is not in 1..%d", n, load.ClientsMax)
		}
	}
	switch {
	case len(c.Clients) == 0:
		return usagef("--clients: no number")
	case c.Duration <= 0 || c.WarmUp < 0:
		return usagef("--duration, --warm-up: %v after %v is no time to measure in", c.Duration, c.WarmUp)
	case c.Rate < 0 || c.Rate > 1e6:
		return usagef("--rate: %v is not in 0..1000000", c.Rate)
	case c.Batch < 1 || c.Limit < 1:
		return usagef("--batch, --limit: %d and %d are not both above 0", c.Batch, c.Limit)
	}
	return nil
}

func (c *benchCmd) show(s *system, a *benchAnswer) error {
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(a)
	}
	_, err := fmt.Fprintf(s.stdout, "%d rows of version %d, %d references a request, %s, kernel %s\n", a.Rows, a.Version, a.Batch, a.Format, a.Kernel)
	if err != nil {
		return err
	}
	return load.WriteTable(s.stdout, a.Runs)
}

// target makes the requests, and asks the server once what one of them does.
func (c *benchCmd) target(ctx context.Context, server *client) (*load.Target, *benchAnswer, error) {
	m := load.Match{Version: c.Version, Batch: c.Batch, Origin: matcher.Faces.String(), Limit: c.Limit}
	if c.Format == "msgpack" {
		m.Format = wire.MessagePack
	}
	filter := url.Values{}
	if c.List != "" {
		id, err := matcher.ParseID(c.List)
		if err != nil {
			return nil, nil, usagef("--list: %v", err)
		}
		m.List = &id
		filter.Set("list_id", id.String())
	}
	var err error
	if m.Rows, m.Version, err = c.rows(ctx, server, filter); err != nil {
		return nil, nil, err
	}
	probe := m
	probe.Format, probe.Batch = wire.JSON, 1
	data, err := server.send(ctx, http.MethodPost, "/1/matcher/faces", url.Values{"explain": {"1"}}, "application/json", bytes.NewReader(probe.Target("").Bodies[0]))
	if err != nil {
		return nil, nil, err
	}
	var items []struct {
		Matches []struct {
			Plan struct {
				Kernel string
				Rows   int `json:"rows_scanned"`
			}
		}
	}
	if err := json.Unmarshal(data, &items); err != nil || len(items) != 1 || len(items[0].Matches) != 1 {
		return nil, nil, errors.Join(errors.New("server: /1/matcher/faces: the answer has not one item"), err)
	}
	plan := items[0].Matches[0].Plan
	return m.Target(server.base), &benchAnswer{URL: server.base, Version: m.Version, Kernel: plan.Kernel, Rows: plan.Rows, Batch: c.Batch, Format: c.Format}, nil
}

// pagesMax bounds the pages of 1000 faces that are looked through for
// descriptors; descriptorsMax is enough of them.
const (
	pagesMax       = 10
	descriptorsMax = 1024
)

// rows returns descriptors of the server's faces, all of one version.
func (c *benchCmd) rows(ctx context.Context, server *client, filter url.Values) (rows [][]byte, version uint32, err error) {
	version = c.Version
	filter.Set("descriptor", "1")
	filter.Set("page_size", "1000")
	for page := 1; page <= pagesMax && len(rows) < descriptorsMax; page++ {
		filter.Set("page", strconv.Itoa(page))
		data, err := server.call(ctx, http.MethodGet, "/1/faces", filter, nil)
		if err != nil {
			return nil, 0, err
		}
		var answer struct {
			Faces []struct {
				Descriptor struct {
					Version uint32
					Data    []byte
				}
			}
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return nil, 0, fmt.Errorf("server: /1/faces: %w", err)
		}
		for _, f := range answer.Faces {
			if version == 0 {
				version = f.Descriptor.Version
			}
			if f.Descriptor.Version == version {
				rows = append(rows, f.Descriptor.Data)
			}
		}
		if len(answer.Faces) < 1000 {
			break
		}
	}
	if len(rows) == 0 {
		what := []string{"the server has no face"}
		if c.List != "" {
			what = append(what, "in list "+c.List)
		}
		if c.Version != 0 {
			what = append(what, fmt.Sprintf("of version %d", c.Version))
		}
		return nil, 0, errors.New(strings.Join(what, " ") + " to match with; see nearside import --help")
	}
	return rows, version, nil
}
