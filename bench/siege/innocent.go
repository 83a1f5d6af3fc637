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

// observation holds the results of an innocent client.
type observation struct {
	Durations []time.Duration
	Failed    int // number of requests not answered with 201
}

// quantile returns the quantile q of the durations, 0 if there are no durations.
func (s *observation) quantile(q float64) time.Duration {
	if len(s.Durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.Durations))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// observe runs visit in a separate process. In this process the client would share its
// threads with the hostile connections.
func (s *server) observe(duration time.Duration) (*observation, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, "-visit", s.URL, "-for", duration.String())
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return nil, err
	}
	seen := &observation{}
	return seen, json.Unmarshal(text, seen)
}

// visit sends fifty match requests a second until ctx ends, each over a new connection.
// Its address differs from that of the hostile connections.
func visit(ctx context.Context, server string) *observation {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		TLSClientConfig:    anyCertificate,
		DialContext:        (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	body := fmt.Sprintf(`{"references":[{"type":"raw_descriptor","id":"p","data":%s}],"candidates":[{"filters":{"origin":"faces"},"limit":5}]}`,
		inJSON(make([]byte, length)))
	seen := &observation{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		begun := time.Now()
		response, err := client.Post(server+"/1/matcher/faces", "application/json", strings.NewReader(body))
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		seen.Durations = append(seen.Durations, time.Since(begun))
		if err != nil || response.StatusCode != http.StatusCreated {
			seen.Failed++
		}
	}
	return seen
}
