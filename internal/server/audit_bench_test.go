package server_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// BenchmarkAudit measures what the audit costs small matches: one reference, 1,000 faces, ten
// rows, 16 clients in this process. It runs servers with and without an audit in turn, and
// reports the ratio of their rates.
func BenchmarkAudit(b *testing.B) {
	with, without := start(b, withAudit()), start(b)
	body := []byte(matchBody(`{"type":"raw_descriptor","id":"p","data":`+descriptor(v4, 1, 2, 3, 4)+`}`, allFaces(`,"limit":10`)))
	for _, x := range []*service{with, without} {
		x.storeFaces(1000)
		x.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 16
	}
	took := map[*service]time.Duration{}
	const requests = 2000
	run := func(x *service) {
		began := time.Now()
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				for range requests / 16 {
					answer, err := x.client.Post("http://"+x.address+"/1/matcher/faces", "application/json", bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body) // the status says enough
					_ = answer.Body.Close()
					if answer.StatusCode != http.StatusCreated {
						b.Error(answer.StatusCode)
					}
				}
			})
		}
		clients.Wait()
		took[x] += time.Since(began)
	}
	run(with)
	run(without)
	clear(took)
	for b.Loop() {
		run(with)
		run(without)
	}
	b.ReportMetric(float64(took[without])/float64(took[with]), "rate-ratio")
	b.ReportMetric(float64(took[with].Microseconds())/float64(b.N*requests), "us/match")
}
