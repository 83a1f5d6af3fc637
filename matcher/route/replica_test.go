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

// TestIdlerReplica: of those with the same objects and cost, who has less to
// do; then the order. Cost comes first, and plugins last.
func TestIdlerReplica(t *testing.T) {
	entered, goOn := make(chan string), make(chan struct{})
	blocks := func(name string) *fake {
		f := costs(name, 100)
		f.match = func(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
			entered <- name
			<-goOn
			return (&fake{name: name}).Match(ctx, subs)
		}
		return f
	}
	o := options(t, blocks("local"), remotes{[]*remote{replicaOf(blocks("first")), replicaOf(blocks("second")), replicaOf(blocks("dear"))}, nil})
	dear := o.Remotes.(remotes).all[2]
	dear.cost = func(*matcher.SubRequest) (float64, string, bool) { return 100.5, "", true }
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
	close(goOn)
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

// TestReplicaFails: the local matcher answers in its place, in the same
// deadline; one that is not well is not asked.
func TestReplicaFails(t *testing.T) {
	for _, err := range []error{gone, context.DeadlineExceeded, errors.New("broken")} {
		sick := costs("sick", 1)
		sick.cost = func(*matcher.SubRequest) (float64, string, bool) { return 1, "not well: it answers 503", false }
		req := request(raw(1))
		req.Explain = true
		a, err := route.New(options(t, costs("local", 100), remotes{[]*remote{replicaOf(fails("replica", 50, err)), replicaOf(sick)}, nil})).Match(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if m := a.Plans[0][0].Matchers; !m[0].Chosen || !strings.HasPrefix(m[1].Reason, "failed: ") || m[2].Reason != "not well: it answers 503" || len(sick.calls) != 0 {
			t.Errorf("%+v", m)
		}
	}
}
