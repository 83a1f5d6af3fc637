package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// sight is what an innocent client has seen.
type sight struct {
	Took   []time.Duration
	Failed int // not answered with 201
}

// at returns the quantile q of the durations.
func (s *sight) at(q float64) time.Duration {
	if len(s.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.Took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// watched runs visit in a process of its own: in this one, the client would wait
// for the hostile connections.
func (s *server) watched(duration time.Duration) (*sight, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, "-visit", s.address, "-for", duration.String())
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return nil, err
	}
	seen := &sight{}
	return seen, json.Unmarshal(text, seen)
}

// visit matches until ctx ends: fifty times a second, each time over a new
// connection from an address of its own.
func visit(ctx context.Context, address string) *sight {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	body := fmt.Sprintf(`{"references":[{"type":"raw_descriptor","id":"p","data":%s}],"candidates":[{"filters":{"origin":"faces"},"limit":5}]}`,
		inJSON(make([]byte, length)))
	seen := &sight{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		begun := time.Now()
		response, err := client.Post("http://"+address+"/1/matcher/faces", "application/json", strings.NewReader(body))
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		seen.Took = append(seen.Took, time.Since(begun))
		if err != nil || response.StatusCode != http.StatusCreated {
			seen.Failed++
		}
	}
	return seen
}
