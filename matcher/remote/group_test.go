package remote

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"nearside/matcher"
	"nearside/matcher/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConfigure: unchanged remotes keep their instance, changed and removed ones are
// closed, and the owners are updated.
func TestConfigure(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		east, west := baseConfig(), baseConfig()
		west.Name, west.Lists, west.Origins = "west", []matcher.ID{face(1), face(2)}, []matcher.Origin{matcher.Events}
		all := map[matcher.Remote]bool{}
		configure := func(configs ...Config) []matcher.Remote {
			t.Helper()
			if err := b.group.Configure(configs); err != nil {
				t.Fatal(err)
			}
			now, _ := b.group.Current()
			for _, m := range now {
				all[m] = true
			}
			return now
		}
		now := configure(west, east)
		if len(now) != 2 || now[1] != matcher.Remote(b.Remote) || now[0].Name() != "west" || now[0].Replica() || !now[1].Replica() {
			t.Errorf("%v", now)
		}
		_, owners := b.group.Current()
		if !slices.Equal(owners.OfOrigin(matcher.Events), []string{"west"}) || !slices.Equal(owners.OfList(face(2)), []string{"west"}) || owners.OfOrigin(matcher.Faces) != nil {
			t.Errorf("%+v", owners)
		}
		// Remotes are in the order of the configuration. Lists are compared by content.
		again := west
		again.Lists = slices.Clone(west.Lists)
		if after := configure(east, again); after[0] != now[1] || after[1] != now[0] {
			t.Error("unchanged remotes were replaced")
		}
		for _, change := range []func(*Config){
			func(c *Config) { c.URL = "http://other" }, func(c *Config) { c.Cost++ }, func(c *Config) { c.Timeout++ },
			func(c *Config) { c.MaxInflight++ }, func(c *Config) { c.Lists = ids(1, 2) }, func(c *Config) { c.Name = "north" },
			func(c *Config) { c.Origins = []matcher.Origin{matcher.Faces} },
		} {
			other := east
			change(&other)
			if after := configure(other); after[0] == now[1] {
				t.Errorf("%+v has the old instance", other)
			}
			now[1] = configure(east)[0]
		}
		configure()
		for m := range all {
			select {
			case <-m.(*Remote).stopped:
			default:
				t.Error("a removed remote still checks its health")
				m.(*Remote).close()
			}
		}
		if now, owners := b.group.Current(); len(now) != 0 || owners != nil {
			t.Errorf("%v, %+v", now, owners)
		}
	})
}

// TestConfigureFails: after an error, the remotes are unchanged, and the new ones
// are closed.
func TestConfigureFails(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		before, _ := b.group.Current()
		good, bad := baseConfig(), baseConfig()
		good.Name, bad.Name, bad.URL = "good", "bad", "http://me:secret@h:port"
		err := b.group.Configure([]Config{good, bad, bad})
		if err == nil || !strings.Contains(err.Error(), "matchers.remote[1].url: ") || !strings.Contains(err.Error(), "matchers.remote[2].url: ") || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
		if after, _ := b.group.Current(); !slices.Equal(before, after) {
			t.Errorf("%v", after)
		}
		b.setHandler(matches(t, wire.JSON))
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestRemovedEndsItsCalls: calls in progress succeed after their remote was removed,
// and then its connections are closed.
func TestRemovedEndsItsCalls(t *testing.T) {
	inBubble(t, baseConfig(), func(t *testing.T, b *testbed) {
		proceed := make(chan struct{})
		b.setHandler(func(w http.ResponseWriter, r *http.Request) {
			<-proceed
			matches(t, wire.JSON)(w, r)
		})
		done := make(chan error)
		go func() { done <- b.matchOne(t.Context()) }()
		synctest.Wait()
		if err := b.group.Configure(nil); err != nil {
			t.Fatal(err)
		}
		close(proceed)
		if err := <-done; err != nil {
			t.Error(err)
		}
		// A request that began before the removal may still make calls. The end of the
		// synctest bubble shows that no connection is left open.
		if err := b.matchOne(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMatchWhileConfiguring matches over real sockets while the configuration
// changes.
func TestMatchWhileConfiguring(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthcheck" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			req, err := testDecoder.Match(wire.MessagePack, body, matcher.FaceDescriptor)
			if err != nil {
				t.Error(err)
				return
			}
			results := make([][]matcher.Result, len(req.References))
			for i := range results {
				results[i] = make([]matcher.Result, len(req.Candidates))
			}
			answer(w, http.StatusCreated, wire.JSON, wire.AppendMatches(nil, wire.JSON, req, req.References, results, nil))
		}
	}))
	defer server.Close()
	g, _ := newGroup(NewGroup(nil, nil).dial)
	configs := make([]Config, 3)
	for i := range configs {
		configs[i] = baseConfig()
		configs[i].Name, configs[i].URL = string(rune('a'+i)), server.URL
	}
	stop, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for stop.Err() == nil {
				remotes, _ := g.Current()
				for _, m := range remotes {
					for _, r := range m.Match(t.Context(), pairs(references(2), setsOf(2, 1))) {
						if r.Err != nil {
							t.Error(r.Err)
						}
					}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		next := slices.Clone(configs)
		rng.Shuffle(3, func(i, j int) { next[i], next[j] = next[j], next[i] })
		next[0].Cost = float64(rng.IntN(3))
		if err := g.Configure(next[:rng.IntN(4)]); err != nil {
			t.Error(err)
		}
	}
	g.Close()
	cancel()
	all.Wait()
}
