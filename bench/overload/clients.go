package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	version = 9512
	// distinctRequests is the number of different requests.
	distinctRequests = 16
	// An answer counts as in time if it comes within the deadline plus graceTime
	// after its request was due.
	graceTime = 250 * time.Millisecond
	// inFlightMax is the largest number of requests that wait for an answer.
	inFlightMax = 15_000
)

// plan determines what the process of the clients sends.
type plan struct {
	Rate               float64 // requests due per second; 0 for a closed loop, where each client waits for its answer
	Clients            int     // number of clients of the closed loop
	Duration, Deadline time.Duration
	Fresh              bool // each request uses a new connection
	References         int  // number of references in a request
	Length             int  // bytes of a descriptor
}

// result has the numbers of requests by outcome.
type result struct {
	Sent, Good, Late, Refused, Timeouts, Failed int
	RefusalP50                                  float64 // milliseconds
}

// send runs the plan in a separate process, so that the work of this process does not
// delay the clients.
func (p plan) send(ctx context.Context, address string) (*result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, "-send", address)
	c.Stdin, c.Stderr = bytes.NewReader(text), os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	r := &result{}
	return r, json.Unmarshal(out, r)
}

// clients holds the connections of a plan and its results.
type clients struct {
	plan
	address  string
	requests [distinctRequests][]byte
	inFlight chan struct{}

	mu       sync.Mutex
	idle     []*connection
	result   result
	refusals []time.Duration
}

// connection is an HTTP connection to the server.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// run sends the requests of the plan to the server at an address.
func (p plan) run(address string) *result {
	c := &clients{plan: p, address: address, inFlight: make(chan struct{}, inFlightMax)}
	for i := range c.requests {
		c.requests[i] = p.request(i)
	}
	begun := time.Now()
	var all sync.WaitGroup
	if p.Rate == 0 {
		for i := range p.Clients {
			all.Go(func() {
				for n := i; time.Since(begun) < p.Duration; n++ {
					c.sendRequest(n, time.Now())
				}
			})
		}
	}
	for i := 0; p.Rate > 0; i++ {
		due := begun.Add(time.Duration(float64(i) / p.Rate * float64(time.Second)))
		if due.Sub(begun) >= p.Duration {
			break
		}
		time.Sleep(time.Until(due))
		c.inFlight <- struct{}{}
		all.Go(func() {
			c.sendRequest(i, due)
			<-c.inFlight
		})
	}
	all.Wait()
	if len(c.refusals) > 0 {
		slices.Sort(c.refusals)
		c.result.RefusalP50 = float64(c.refusals[len(c.refusals)/2]) / float64(time.Millisecond)
	}
	return &c.result
}

// request returns a complete HTTP request. seed determines its descriptors.
func (p plan) request(seed int) []byte {
	random := rand.NewChaCha8([32]byte{1, byte(seed)})
	var references []string
	for i := range p.References {
		references = append(references, fmt.Sprintf(`{"type":"raw_descriptor","id":"%d","data":%s}`, i, descriptor(random, p.Length)))
	}
	body := `{"references":[` + strings.Join(references, ",") + `],"candidates":[{"filters":{"origin":"faces"},"limit":5,"targets":["face_id","similarity"]}]}`
	return fmt.Appendf(nil, "POST /1/matcher/faces HTTP/1.1\r\nHost: nearside\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// descriptor returns a random descriptor as JSON.
func descriptor(random *rand.ChaCha8, length int) string {
	data := make([]byte, length)
	_, _ = random.Read(data) // never fails
	return fmt.Sprintf(`{"version":%d,"data":%q}`, version, base64.StdEncoding.EncodeToString(data))
}

// sendRequest sends request n, which was due at the given time, and counts its outcome.
func (c *clients) sendRequest(n int, due time.Time) {
	asked := time.Now()
	status, err := c.exchange(c.requests[n%distinctRequests])
	took := time.Since(asked)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Sent++
	switch {
	case err != nil:
		c.result.Failed++
	case status == http.StatusCreated && time.Since(due) <= c.Deadline+graceTime:
		c.result.Good++
	case status == http.StatusCreated:
		c.result.Late++
	case status == http.StatusServiceUnavailable:
		c.result.Refused++
		c.refusals = append(c.refusals, took)
	case status == http.StatusGatewayTimeout:
		c.result.Timeouts++
	default:
		c.result.Failed++
	}
}

// exchange sends a request and returns the status of the answer.
func (c *clients) exchange(request []byte) (int, error) {
	w, err := c.connect()
	if err != nil {
		return 0, err
	}
	status, reusable, err := w.exchange(request, c.Deadline+10*time.Second)
	if err != nil || !reusable || c.Fresh {
		_ = w.Close() // an error does not matter any more
		return status, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, w)
	return status, nil
}

// connect returns an idle connection, or a new one.
func (c *clients) connect() (*connection, error) {
	c.mu.Lock()
	if last := len(c.idle) - 1; last >= 0 {
		w := c.idle[last]
		c.idle = c.idle[:last]
		c.mu.Unlock()
		return w, nil
	}
	c.mu.Unlock()
	conn, err := net.DialTimeout("tcp", c.address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 4<<10)}, nil
}

// exchange sends a request and returns the status of the answer, and whether the
// connection can be used for another request.
func (w *connection) exchange(request []byte, timeout time.Duration) (status int, reusable bool, err error) {
	if err := w.SetDeadline(time.Now().Add(timeout)); err != nil {
		return 0, false, err
	}
	if _, err := w.Write(request); err != nil {
		return 0, false, err
	}
	length := 0
	reusable = true
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return 0, false, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && status >= 200:
			_, err := io.CopyN(io.Discard, w.in, int64(length))
			return status, reusable, err
		case strings.HasPrefix(line, "HTTP/1.1 "):
			status, err = strconv.Atoi(line[9:12])
		case strings.EqualFold(name, "Content-Length"):
			length, err = strconv.Atoi(value)
		case strings.EqualFold(name, "Connection"):
			reusable = !strings.EqualFold(value, "close")
		}
		if err != nil {
			return 0, false, err
		}
	}
}
