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
	WarmUp   time.Duration `help:"Length of the warm-up before each run, which is not counted." default:"1s"`
	Rate     float64       `help:"Requests to send per second; latencies then count from the time at which a request was due. Without it, each client sends its next request when it has its answer." placeholder:"R"`
	Batch    int           `help:"References per request." default:"1" placeholder:"N"`
	Limit    int           `help:"Matches per reference." default:"10" placeholder:"K"`
	Format   string        `help:"Format of requests and answers." enum:"json,msgpack" default:"json"`
	JSON     bool          `help:"Print JSON."`
}

// Help is printed below the flags.
func (*benchCmd) Help() string {
	return `Examples:

    nearside bench --clients 1,16 --duration 10s
    nearside bench --rate 200 --clients 64 --batch 16

The references are descriptors of the server's own faces. If the server runs on this machine, the clients and the server share it. If the command is interrupted, it prints the completed runs.

Exit codes: 0 every request was answered, 1 a request failed, 2 wrong usage, 130 SIGINT, 143 SIGTERM.`
}

// benchAnswer is the output of --json.
type benchAnswer struct {
	URL     string         `json:"url"`
	Version uint32         `json:"version"`
	Kernel  string         `json:"kernel"`
	Rows    int            `json:"rows"` // compared with each reference
	Batch   int            `json:"batch"`
	Format  string         `json:"format"`
	Runs    []load.Summary `json:"runs"`
}

// Run makes one run for each number of clients.
func (c *benchCmd) Run(s *system) error {
	if err := c.checkFlags(); err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	target, answer, err := c.loadTarget(s.ctx, server)
	if err != nil {
		return err
	}
	failed := 0
	for _, clients := range c.Clients {
		send, closeAll := target.Connect(clients)
		r, err := load.Run(s.ctx, load.Plan{Clients: clients, Duration: c.Duration, WarmUp: c.WarmUp, Rate: c.Rate}, load.Wall{}, send)
		closeAll()
		if err != nil {
			err = fmt.Errorf("%w in the run with %d clients; %d of %d runs were completed", server.explain(s.ctx, err), clients, len(answer.Runs), len(c.Clients))
			return errors.Join(err, c.printCompleted(s, answer))
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

// printCompleted prints the completed runs of a command that ends early.
func (c *benchCmd) printCompleted(s *system, a *benchAnswer) error {
	if len(a.Runs) == 0 {
		return nil
	}
	return c.show(s, a)
}

func (c *benchCmd) checkFlags() error {
	for _, n := range c.Clients {
		if n < 1 || n > load.ClientsMax {
			return usagef("--clients: must be an integer from 1 to %d, got %d", load.ClientsMax, n)
		}
	}
	switch {
	case len(c.Clients) == 0:
		return usagef("--clients: must have at least one number")
	case c.Duration <= 0 || c.WarmUp < 0:
		return usagef("--duration must be above 0 and --warm-up at least 0, got %v and %v", c.Duration, c.WarmUp)
	case c.Rate < 0 || c.Rate > 1e6:
		return usagef("--rate: must be a number from 0 to 1000000, got %v", c.Rate)
	case c.Batch < 1 || c.Limit < 1:
		return usagef("--batch and --limit must be above 0, got %d and %d", c.Batch, c.Limit)
	}
	return nil
}

func (c *benchCmd) show(s *system, a *benchAnswer) error {
	if c.JSON {
		return json.NewEncoder(s.stdout).Encode(a)
	}
	_, err := fmt.Fprintf(s.stdout, "%d rows of version %d, %d references per request, %s, kernel %s\n", a.Rows, a.Version, a.Batch, a.Format, a.Kernel)
	if err != nil {
		return err
	}
	return load.WriteTable(s.stdout, a.Runs)
}

// loadTarget makes the requests. It sends one of them with explain to learn the kernel
// and the number of rows.
func (c *benchCmd) loadTarget(ctx context.Context, server *client) (*load.Target, *benchAnswer, error) {
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
	single := m
	single.Format, single.Batch = wire.JSON, 1
	data, err := server.sendBody(ctx, http.MethodPost, "/1/matcher/faces", url.Values{"explain": {"1"}}, "application/json", bytes.NewReader(single.Target("").Bodies[0]))
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
		return nil, nil, errors.Join(errors.New("server: /1/matcher/faces: the answer must have one item"), err)
	}
	plan := items[0].Matches[0].Plan
	target := m.Target(server.base)
	target.Key = server.key
	target.TLS = server.secure
	return target, &benchAnswer{URL: server.base, Version: m.Version, Kernel: plan.Kernel, Rows: plan.Rows, Batch: c.Batch, Format: c.Format}, nil
}

// The command searches at most pagesMax pages of 1000 faces for descriptors. It stops
// at descriptorsMax descriptors.
const (
	pagesMax       = 10
	descriptorsMax = 1024
)

// rows returns descriptors of the server's faces and their version, which is the same
// for all.
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
		parts := []string{"the server has no face"}
		if c.List != "" {
			parts = append(parts, "in list "+c.List)
		}
		if c.Version != 0 {
			parts = append(parts, fmt.Sprintf("of version %d", c.Version))
		}
		return nil, 0, errors.New(strings.Join(parts, " ") + " to match with; see nearside import --help")
	}
	return rows, version, nil
}
