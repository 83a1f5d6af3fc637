package vm

import (
	"math"
	"math/rand/v2"

	glua "github.com/yuin/gopher-lua"
)

// mathLib is gopher-lua's, except for randomness: a script must not seed the
// process's generator.
func (lib *Library) mathLib(stock map[string]*glua.LFunction) *glua.LTable {
	t := newTable()
	for name, f := range stock {
		t.RawSetString(name, lib.adopt(f))
	}
	t.RawSetString("random", lib.goFunction(mathRandom))
	t.RawSetString("randomseed", lib.goFunction(func(*glua.LState) int { return 0 }))
	t.RawSetString("pi", glua.LNumber(math.Pi))
	t.RawSetString("huge", glua.LNumber(math.Inf(1)))
	return t
}

func mathRandom(l *glua.LState) int {
	from, to := 1.0, 0.0
	switch l.GetTop() {
	case 0:
		l.Push(glua.LNumber(rand.Float64()))
		return 1
	case 1:
		to = float64(l.CheckNumber(1))
	default:
		from, to = float64(l.CheckNumber(1)), float64(l.CheckNumber(2))
	}
	from, to = math.Floor(from), math.Floor(to)
	if !wholeNumber(from) || !wholeNumber(to) || from > to {
		l.RaiseError("random: the interval is empty")
	}
	l.Push(glua.LNumber(from + math.Floor(rand.Float64()*(to-from+1))))
	return 1
}
