// Package stat compares running times on a shared machine whose speed drifts.
//
// Absolute times on such a machine may differ by a factor of two from one minute to the
// next. So the participants run alternately, round after round, and only ratios of times
// within a round are used. The result is the median of these ratios.
package stat

import (
	"math"
	"slices"
)

// Run does a fixed amount of work once and returns the seconds that it took.
type Run func() (seconds float64, err error)

// Rounds holds the times of participants that ran alternately. Participant 0 is the probe.
// It runs before and after all other participants in every round.
type Rounds struct {
	seconds [][]float64 // by participant, then by round; the probe has one additional time
}

// RunAlternately runs all participants alternately, n times, and the probe once more at the end.
// It stops at the first error.
func RunAlternately(n int, probe Run, others ...Run) (*Rounds, error) {
	r := &Rounds{seconds: make([][]float64, 1+len(others))}
	participants := append([]Run{probe}, others...)
	for range n {
		for i, run := range participants {
			if err := r.addRun(i, run); err != nil {
				return nil, err
			}
		}
	}
	if err := r.addRun(0, probe); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rounds) addRun(i int, run Run) error {
	s, err := run()
	if err != nil {
		return err
	}
	r.seconds[i] = append(r.seconds[i], s)
	return nil
}

// Len returns the number of rounds.
func (r *Rounds) Len() int { return len(r.seconds[0]) - 1 }

// Seconds returns the median time of a participant.
func (r *Rounds) Seconds(participant int) float64 { return Median(r.seconds[participant]) }

// Ratio returns the ratio of the time of a to the time of b. The time of the probe in a
// round is the mean of its runs before and after the round.
func (r *Rounds) Ratio(a, b int) Summary {
	return r.Summary(func(seconds []float64) float64 { return seconds[a] / seconds[b] })
}

// Summary returns the median and the quartiles of a figure. f computes the figure of a round
// from the times of all participants in that round.
func (r *Rounds) Summary(f func(seconds []float64) float64) Summary {
	figures := make([]float64, r.Len())
	for i := range figures {
		seconds := make([]float64, len(r.seconds))
		for p := range seconds {
			seconds[p] = r.secondsIn(p, i)
		}
		figures[i] = f(seconds)
	}
	return Summarize(figures)
}

func (r *Rounds) secondsIn(participant, round int) float64 {
	s := r.seconds[participant]
	if participant == 0 {
		return (s[round] + s[round+1]) / 2
	}
	return s[round]
}

// Summary is the median of values, such as ratios, with their quartiles.
type Summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`   // lower quartile
	High   float64 `json:"high"`  // upper quartile
	Pairs  int     `json:"pairs"` // number of values
}

// Summarize returns the Summary of values.
func Summarize(values []float64) Summary {
	return Summary{Median(values), Quantile(values, 0.25), Quantile(values, 0.75), len(values)}
}

// Times returns the summary of the values multiplied by a factor.
func (s Summary) Times(f float64) Summary {
	return Summary{s.Median * f, s.Low * f, s.High * f, s.Pairs}
}

// Inverse returns the summary of the inverses of the values.
func (s Summary) Inverse() Summary { return Summary{1 / s.Median, 1 / s.High, 1 / s.Low, s.Pairs} }

// Median returns the median of values, or NaN if there are no values.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile returns the value that a fraction q, from 0 to 1, of the values does not
// exceed. It interpolates between neighbours. It returns NaN if there are no values.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
