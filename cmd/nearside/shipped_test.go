package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// sink is the HTTP server that plugins send to: an object store, whose bucket may exist
// already, and a webhook.
type sink struct {
	*httptest.Server
	bucket  chan int      // statuses of the answers to POST /1/buckets
	objects chan sinkBody // of the bucket
	alerts  chan sinkBody
}

type sinkBody struct {
	Points []struct {
		Series string
		Time   float64
		Tags   map[string]any
		Fields map[string]any
	}
	Alerts []map[string]any
}

func newSink(t *testing.T, bucket int) *sink {
	t.Helper()
	s := &sink{bucket: make(chan int, 1), objects: make(chan sinkBody, 1000), alerts: make(chan sinkBody, 1000)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var body sinkBody
		if len(text) > 0 && json.Unmarshal(text, &body) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch r.Method + " " + r.URL.String() {
		case "POST /1/buckets?bucket=monitoring":
			w.WriteHeader(bucket)
			s.bucket <- bucket
		case "POST /1/buckets/monitoring/objects":
			w.WriteHeader(http.StatusCreated)
			s.objects <- body
		case "POST /hook":
			w.WriteHeader(http.StatusNoContent)
			s.alerts <- body
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// receive returns the next value of a channel, or fails the test after a minute.
func receive[T any](t *testing.T, name string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s: nothing arrived within a minute", name)
		panic("unreachable")
	}
}

// TestShippedPlugins runs shipped plugins in a real server. It activates them with the
// variables of the LUNA PLATFORM services.
func TestShippedPlugins(t *testing.T) {
	for _, bucket := range []int{http.StatusCreated, http.StatusConflict} {
		s, r := newSink(t, bucket), newRootFolder(t)
		settings, err := json.Marshal(map[string]any{
			"request_monitoring": map[string]any{"url": s.URL, "bucket": "monitoring"},
			"watchlist_alert":    map[string]any{"url": s.URL + "/hook", "seconds": 0.1, "external_ids": []string{"eve"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		p := r.serve(t, []string{
			`LUNA_MATCHER_PROXY_ACTIVE_PLUGINS=["request_monitoring.lua", "watchlist_alert"]`,
			"NEARSIDE_PLUGINS_SETTINGS=" + string(settings),
		})
		if got := receive(t, "the bucket", s.bucket); got != bucket {
			t.Errorf("the bucket: %d", got)
		}
		if status, _, err := p.call("GET", "/1/lists", nil); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		if status, _, err := p.call("GET", "/1/faces/nobody", nil); err != nil || status < 400 {
			t.Fatal(status, err)
		}
		seen := map[string]bool{}
		for len(seen) < 3 { // two requests and an error
			for _, point := range receive(t, "points", s.objects).Points {
				_, timed := point.Fields["execution_time"].(float64)
				id, _ := point.Fields["request_id"].(string)
				if point.Time < 1.7e9 || id == "" || point.Tags["service"] != "nearside" || point.Series == "requests" && !timed {
					t.Errorf("%+v", point)
				}
				route, _ := point.Tags["route"].(string)
				seen[point.Series+" "+route] = true
			}
		}
		for _, want := range []string{"requests GET:/lists", "requests GET:/faces", "errors GET:/faces"} {
			found := false
			for got := range seen {
				found = found || strings.HasPrefix(got, want)
			}
			if !found {
				t.Errorf("no point %q in %v", want, seen)
			}
		}
		p.mustCall(t, "POST", "/1/events", watchedEvents, &struct{}{})
		alerts := receive(t, "an alert", s.alerts).Alerts
		if len(alerts) != 1 || alerts[0]["person"] != "eve" || alerts[0]["source"] != "cam-1" {
			t.Errorf("%v", alerts)
		}
		p.stop(t)
	}
}

// watchedEvents has an event of a watched person, and one of another person.
var watchedEvents = []map[string]any{watchedEvent("eve"), watchedEvent("alice")}

func watchedEvent(person string) map[string]any {
	return map[string]any{
		"source":          "cam-1",
		"top_match":       map[string]any{"object_id": "00000000-0000-4000-8000-000000000001", "external_id": person, "similarity": 0.95},
		"face_descriptor": map[string]any{"version": 59, "data": make([]byte, 512)},
	}
}
