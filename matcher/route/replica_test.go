package route_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// TestLessBusyReplica: of the matchers with the same objects and the same cost, the
// one with fewer calls in progress answers, then the first in order. Cost has
// priority, and plugins come last.
func TestLessBusyReplica(t *testing.T) {
	entered, proceed := make(chan string), make(chan struct{})
	blocks := func(name string) *fake {
		f := costs(name, 100)
		f.match = func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
			entered <- name
			<-proceed
			return (&fake{name: name}).Match(ctx, subs)
		}
		return f
	}
	o := options(t, blocks("local"), remotes{[]*remote{replicaOf(blocks("first")), replicaOf(blocks("second")), replicaOf(blocks("expensive"))}, nil})
	expensive := o.Remotes.(remotes).all[2]
	expensive.cost = func(*matcher.SubRequest) (float64, string, bool) { return 100.5, "", true }
	o.Plugins = others{blocks("plugin")}
	r := route.New(o)
	done := make(chan error)
	var order []string
	for range 5 {
		go func() {
			req := request(raw(1))
			req.Candidates = req.Candidates[:1]
			_, err := r.Match(t.Context(), req)
			done <- err
		}()
		order = append(order, <-entered)
	}
	if want := []string{"local", "first", "second", "local", "first"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	close(proceed)
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// All are idle again.
	go func() {
		_, err := r.Match(t.Context(), request(raw(1)))
		done <- err
	}()
	if by := <-entered; by != "local" {
		t.Errorf("%s was asked", by)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestReplicaFails: if a replica fails, the local matcher answers within the same
// deadline. An unhealthy replica is not asked.
func TestReplicaFails(t *testing.T) {
	for _, err := range []error{gone, context.DeadlineExceeded, errors.New("broken")} {
		sick := costs("sick", 1)
		sick.cost = func(*matcher.SubRequest) (float64, string, bool) { return 1, "unhealthy: it answered 503", false }
		req := request(raw(1))
		req.Explain = true
		a, err := route.New(options(t, costs("local", 100), remotes{[]*remote{replicaOf(fails("replica", 50, err)), replicaOf(sick)}, nil})).Match(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if m := a.Plans[0][0].Matchers; !m[0].Chosen || !strings.HasPrefix(m[1].Reason, "failed: ") || m[2].Reason != "unhealthy: it answered 503" || len(sick.calls) != 0 {
			t.Errorf("%+v", m)
		}
	}
}
