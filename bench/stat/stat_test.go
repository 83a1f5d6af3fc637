package stat

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	check := func(want, q float64, values ...float64) {
		t.Helper()
		before := slices.Clone(values)
		if got := Quantile(values, q); got != want {
			t.Errorf("quantile %v of %v: %v, want %v", q, values, got, want)
		}
		if !slices.Equal(values, before) {
			t.Errorf("Quantile changed its values to %v", values)
		}
	}
	check(7, 0.5, 7)
	check(2, 0.5, 3, 1, 2)
	check(2.5, 0.5, 4, 1, 3, 2)
	check(1, 0, 3, 1, 2)
	check(3, 1, 3, 1, 2)
	check(1.5, 0.25, 3, 1, 2)
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("the median of no values is %v, want NaN", got)
	}
}

// replay returns a Run that returns the given seconds one after another, and appends the
// number of the participant to order.
func replay(order *[]int, participant int, seconds ...float64) Run {
	return func() (float64, error) {
		*order = append(*order, participant)
		s := seconds[0]
		seconds = seconds[1:]
		return s, nil
	}
}

func TestRunAlternately(t *testing.T) {
	var order []int
	// The machine becomes slower: the times grow, but the ratios stay.
	r, err := RunAlternately(3, replay(&order, 0, 1, 1, 3, 3), replay(&order, 1, 2, 4, 6), replay(&order, 2, 4, 8, 12))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0}; !slices.Equal(order, want) {
		t.Errorf("participants ran in the order %v, want %v", order, want)
	}
	if got := r.Ratio(1, 0); got != (Summary{2, 2, 2, 3}) {
		t.Errorf("1 to the probe: %+v", got)
	}
	if got := r.Ratio(2, 1); got != (Summary{2, 2, 2, 3}) {
		t.Errorf("2 to 1: %+v", got)
	}
	if got := r.Ratio(0, 2).Times(8).Inverse(); got != (Summary{0.5, 0.5, 0.5, 3}) {
		t.Errorf("scaled and inverted: %+v", got)
	}
	if got := r.Summary(func(s []float64) float64 { return max(s[0], s[1]) / s[2] }); got != (Summary{0.5, 0.5, 0.5, 3}) {
		t.Errorf("of all three: %+v", got)
	}
	if got := r.Seconds(1); got != 4 {
		t.Errorf("seconds of 1: %v", got)
	}
}

func TestRunAlternatelyStopsAtError(t *testing.T) {
	broken := errors.New("broken")
	var order []int
	_, err := RunAlternately(3, replay(&order, 0, 1, 1), func() (float64, error) { return 0, broken })
	if !errors.Is(err, broken) || len(order) != 1 {
		t.Errorf("error %v after %v", err, order)
	}
}

func TestSummarizeAndInverse(t *testing.T) {
	r := Summarize([]float64{1, 2, 4, 5, 8})
	if r != (Summary{4, 2, 5, 5}) {
		t.Fatalf("%+v", r)
	}
	if i := r.Inverse(); i != (Summary{0.25, 0.2, 0.5, 5}) {
		t.Errorf("inverse: %+v", i)
	}
}
