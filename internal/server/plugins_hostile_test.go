package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// hostile are the bodies of plugins that misbehave, each in its own way. %s is the
// address of a server that never answers.
var hostile = map[string]string{
	"loops":      `prefilter = function(self, req, set) while true do end end`,
	"recurses":   `prefilter = function(self, req, set) local function f() return 1 + f() end return f() end`,
	"repeats":    `prefilter = function(self, req, set) return (("x"):rep(1e6)):rep(1000) end`,
	"doubles":    `prefilter = function(self, req, set) local s = "x" for i = 1, 30 do s = s .. s end return s end`,
	"bombs":      `prefilter = function(self, req, set) return (("a"):rep(20000)):find(("a*"):rep(8) .. "b") end`,
	"swallows":   `prefilter = function(self, req, set) while true do pcall(function() while true do end end) end end`,
	"deletes":    `prefilter = function(self, req, set) return set:ids({}) + set end`,
	"rubbish":    `cost = function() return 1 end, match = function() return {{id = "x"}, 7, {}} end`,
	"not number": `cost = function() return {} end, match = function() return {} end`,
	"throws":     `cost = function() return 1 end, match = function() error(setmetatable({}, {__tostring = function() error("again") end})) end`,
	"coroutines": `cost = function() return 2 end, match = function()
		local a, b
		a = coroutine.create(function() return coroutine.resume(b) end)
		b = coroutine.create(function() return coroutine.resume(a) end)
		coroutine.resume(a)
		local c = coroutine.wrap(function() while true do end end)
		return c()
	end`,
	"poisons": `cost = function() return 3 end, match = function() getmetatable("").__index = nil string.format = nil return ("x"):upper() end`,
	"events":  `kinds = {"event"}, events = {"monitoring_event"}, handle_event = function(self, points) error(points) end`,
	"slow":    `kinds = {"event"}, events = {"monitoring_event"}, permissions = {"http:*"}, handle_event = function() require("nearside").http.get("http://%s/", {timeout_ms = 50}) end`,
	"tasks": `kinds = {"background"}, start = function() local ns = require("nearside")
		ns.spawn(function() while true do pcall(ns.sleep, 0.001) end end)
		ns.every(0.001, function() error("every time") end)
		ns.spawn(function() local t = {} while true do t[#t + 1] = ("x"):rep(10) if #t > 1000 then t = {} end ns.sleep(0) end end)
	end, close = function() while true do end end`,
}

// hostilePlugins returns the sources of plugins with these bodies. silentServer is the
// address of a server that never answers.
func hostilePlugins(silentServer string) map[string]string {
	plugins := map[string]string{}
	for name, body := range hostile {
		name = strings.ReplaceAll(name, " ", "_")
		kinds := `kinds = {"matching"}, `
		if strings.HasPrefix(body, "kinds") {
			kinds = ""
		}
		body = strings.ReplaceAll(body, "%s", silentServer)
		plugins[name] = fmt.Sprintf("return {api = 1, name = %q, limits = {cost = 0.02, prefilter = 0.02, slice = 0.02, close = 0.02}, %s%s}", name, kinds, body)
	}
	return plugins
}

// TestHostilePlugins checks that every request is answered as if the plugins did not
// exist, that the counters show their failures, and that a hundred reloads under load leave no
// goroutines or memory behind.
func TestHostilePlugins(t *testing.T) {
	x := start(t, withPlugins(hostilePlugins(startSilentServer(t))))
	for n := range 20 {
		x.call("POST", "/1/faces", face(n+1, descriptor(v4, byte(n), 2, 3, 4), "")).status(201)
	}
	request := matchBody(givenDescriptor(descriptor(v4, 0, 2, 3, 4)), `{"filters":{"origin":"faces"},"targets":[],"limit":3}`)
	want := `[{"face":{"face_id":"` + id(1) + `"}},{"face":{"face_id":"` + id(2) + `"}},{"face":{"face_id":"` + id(3) + `"}}]`
	sendMatch := func() { x.call("POST", "/1/matcher/faces", request).status(201).part("0.matches.0.result", want) }
	for range 10 { // until the breakers open; each call takes its full time
		sendMatch()
	}
	x.checkCounters(t)

	reload := func() { x.call("POST", "/1/plugins/reload", "").status(200) }
	reload()
	runtime.GC()
	goroutines, heap := runtime.NumGoroutine(), heapBytes()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					sendMatch()
				}
			}
		})
	}
	reloads := 100
	if testing.Short() || testkit.RaceEnabled {
		reloads = 10
	}
	for range reloads {
		reload()
	}
	close(stop)
	clients.Wait()
	reload()
	x.client.CloseIdleConnections()
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > goroutines+5 || heapBytes() > heap+32<<20; runtime.Gosched() {
		if runtime.GC(); time.Now().After(end) {
			t.Fatalf("%d goroutines and %d bytes before, %d and %d after", goroutines, heap, runtime.NumGoroutine(), heapBytes())
		}
	}
}

// startSilentServer starts a server that never answers, and returns its address.
func startSilentServer(t *testing.T) string {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(func() {
		silent.CloseClientConnections()
		silent.Close()
	})
	return silent.Listener.Addr().(*net.TCPAddr).String()
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// checkCounters checks that /1/plugins shows the failures of the hostile plugins.
func (x *service) checkCounters(t *testing.T) {
	t.Helper()
	var all []struct {
		Name      string
		State     string
		LastError string `json:"last_error"`
		Counters  struct{ Failures, Timeouts, Lost, Queued int }
	}
	check(t, json.Unmarshal(x.call("GET", "/1/plugins", "").status(200).body, &all))
	if len(all) != len(hostile) {
		t.Fatalf("%d plugins, want %d", len(all), len(hostile))
	}
	for _, p := range all {
		switch p.Name {
		case "deletes", "slow": // the first plugin is correct; the second one waits
		case "tasks", "events":
			if p.LastError == "" {
				t.Errorf("%+v", p)
			}
		default:
			if p.Counters.Failures == 0 || p.LastError == "" {
				t.Errorf("%+v", p)
			}
		}
	}
}

// TestPrefilterRemovesAll checks that a prefilter may remove all candidates.
func TestPrefilterRemovesAll(t *testing.T) {
	x := start(t, withPlugins(map[string]string{
		"none": `return {api = 1, name = "none", kinds = {"matching"}, prefilter = function(self, req, set) return set:ids({}) end}`,
	}))
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4), "")).status(201)
	x.call("POST", "/1/matcher/faces?explain=1", matchBody(givenDescriptor(descriptor(v4, 0, 2, 3, 4)), `{"filters":{"origin":"faces"}}`)).status(201).
		part("0.matches.0.result", "[]").part("0.matches.0.plan.rows_selected", "0").part("0.matches.0.plan.prefilters.0.before", "1")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(t, x.stop(ctx))
}
