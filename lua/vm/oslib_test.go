package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// runLua51 runs a program with the reference interpreter in a time zone and returns
// its output. It skips the test if lua5.1 is not installed.
func runLua51(t *testing.T, zone, program string) string {
	t.Helper()
	path, err := exec.LookPath("lua5.1")
	if err != nil {
		t.Skip("lua5.1 is not installed")
	}
	cmd := exec.Command(path, "-")
	cmd.Env = append(os.Environ(), "TZ="+zone, "LC_ALL=C")
	cmd.Stdin = strings.NewReader(program)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, stderr.String())
	}
	return string(out)
}

// runOursIn runs a program in a state with a time zone. The program returns a
// function, which runOursIn calls without arguments. It returns the text that the
// function returns.
func runOursIn(t *testing.T, zone, program string) string {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Skip("time zone data is missing: ", err)
	}
	s := library.NewState(context.Background(), StateOptions{Time: Clock{Zone: location}})
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	results, err := s.Call(context.Background(), Limits{Slice: time.Minute}, loadFunction(t, s, program))
	if err != nil {
		t.Fatal(err)
	}
	return results[0].(string)
}

var osZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"}

// randomSecond returns a random time: near, far, negative, or at a DST change.
// Outside of UTC, it stays within some million years, because the local times of the
// C library are wrong beyond that.
func randomSecond(r *rand.Rand, zone string) float64 {
	switch r.IntN(6) {
	case 0:
		return float64(r.Int64N(4e9))
	case 1:
		return -float64(r.Int64N(4e9))
	case 2:
		if zone != "UTC" {
			return float64(r.Int64N(2e14) - 1e14)
		}
		return float64(r.Int64N(2e17) - 1e17)
	case 3:
		return float64(r.Int64N(6e11)) - 3e11
	case 4:
		return float64(1774746000 + r.IntN(7200) - 3600) // Europe, spring of 2026
	default:
		return float64(r.Int64N(4e9)) + r.Float64()
	}
}

// TestOSAgainstLua51 compares os.date and os.time with the reference
// interpreter on random formats, times and tables of fields.
func TestOSAgainstLua51(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for _, zone := range osZones {
		var b strings.Builder
		b.WriteString("local out = {}\nlocal function put(...) local t = {} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end out[#out + 1] = table.concat(t, ' ') end\n")
		b.WriteString("local function fields(t) if t then put(t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst) else put(t) end end\n")
		b.WriteString("for i = 1, 255 do put(i, os.date('%' .. string.char(i), 1e9 + i), os.date('!%' .. string.char(i) .. '|', i)) end\n")
		for range 150 {
			var format strings.Builder
			if r.IntN(2) == 0 {
				format.WriteByte('!')
			}
			for range 1 + r.IntN(8) {
				format.WriteByte('%')
				format.WriteByte("aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%E3q "[r.IntN(45)])
				format.WriteString([]string{"", " ", "-", "x"}[r.IntN(4)])
			}
			fmt.Fprintf(&b, "put(os.date(%q, %.17g))\n", format.String(), randomSecond(r, zone))
			fmt.Fprintf(&b, "fields(os.date(%q, %.17g))\n", []string{"*t", "!*t"}[r.IntN(2)], randomSecond(r, zone))
			fmt.Fprintf(&b, "do local t = os.date('*t', %.17g) t = t and os.time(t) put(t and string.format('%%.0f', t)) end\n", randomSecond(r, zone)) // back again
		}
		for range 150 {
			dst := []string{"nil", "true", "false"}[r.IntN(3)]
			fmt.Fprintf(&b, "put(string.format('%%.0f', os.time{year = %d, month = %d, day = %d, hour = %d, min = %d, sec = %d, isdst = %s}))\n",
				1902+r.IntN(300), r.IntN(40)-10, r.IntN(100)-30, r.IntN(100)-40, r.IntN(200)-60, r.IntN(200)-60, dst)
		}
		for _, text := range []string{"{year = '2020', month = '1.9', day = 1, hour = 'x'}", "{year = 2^33 + 5, month = 1, day = 1}", "{year = 0/0, month = 1, day = 1}", "{year = 1969, month = 12, day = 31, hour = 23, min = 59, sec = 59}"} {
			fmt.Fprintf(&b, "do local t = os.time(%s) put(t and string.format('%%.0f', t)) end\n", text)
		}
		if zone == "UTC" {
			b.WriteString("put(string.format('%.0f', os.time{year = 2147483647, month = 100, day = 1}))\n")
		}
		b.WriteString("put(os.date('a\\0b')) put(os.date('%')) put(#os.date('!%%%')) put(os.date('!%c', 0/0)) put(os.date('!%H', '12')) put(os.difftime(5, 2), os.difftime(5))\n")
		for _, bad := range []string{"os.time, {}", "os.time, {year = 2020, month = 1}", "os.time, {year = 2020, month = 1, day = 'x'}", "os.date, {}", "os.date, '%c', 'x'", "os.time, 5", "os.difftime"} {
			fmt.Fprintf(&b, "put((pcall(%s)))\n", bad)
		}
		program := b.String()
		want := strings.TrimSuffix(runLua51(t, zone, program+"print(table.concat(out, '\\n'))"), "\n")
		got := runOursIn(t, zone, "return function()\n"+program+"return table.concat(out, '\\n') end")
		wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
		different := 0
		for i := range min(len(wants), len(gots)) {
			if wants[i] != gots[i] {
				if different++; different < 8 {
					t.Errorf("%s: line %d: %q, lua5.1 has %q", zone, i, gots[i], wants[i])
				}
			}
		}
		if len(wants) != len(gots) || different > 0 {
			t.Errorf("%s: %d of %d lines differ; %d lines, lua5.1 has %d", zone, different, len(wants), len(gots), len(wants))
		}
	}
}

// TestOSClock checks that os.time, os.date and os.clock use the clock of the state.
func TestOSClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC)
	s := library.NewState(context.Background(), StateOptions{Time: Clock{Now: func() time.Time { return now }, Zone: time.UTC, Started: now.Add(-3 * time.Second)}})
	defer func() { _ = s.Close(context.Background()) }()
	f := loadFunction(t, s, "return function() return os.time(), os.date('%H:%M:%S'), os.clock() end")
	for _, want := range []string{"[1.7723664e+09 12:00:00 3]", "[1.77237e+09 13:00:00 3603]"} {
		got, err := s.Call(context.Background(), Limits{}, f)
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
		now = now.Add(time.Hour)
	}
}

// TestDateIsBounded checks that a long format exceeds neither the budget nor the
// length limit of strings.
func TestDateIsBounded(t *testing.T) {
	s := newState(t)
	long := loadFunction(t, s, "return function(n, d) return #os.date(string.rep(d, n)) end")
	if _, err := s.Call(context.Background(), Limits{Slice: time.Minute}, long, MaxString/2, "%c"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a long format: error %v, want \"longer than\"", err)
	}
	if _, err := s.Call(context.Background(), Limits{Slice: 5 * time.Millisecond}, long, MaxString/2, "%s"); !errors.Is(err, ErrSlice) {
		t.Errorf("a long format with a short slice: error %v, want %v", err, ErrSlice)
	}
}

// TestDateDirectivesAllocateLittle checks that formatting a date makes almost no garbage,
// because only the result and its buffers are counted.
func TestDateDirectivesAllocateLittle(t *testing.T) {
	c, ok := civilOf(1e9, time.UTC)
	if !ok {
		t.Fatal("civilOf refused the time 1e9")
	}
	b := make([]byte, 0, 64)
	allocations := testing.AllocsPerRun(100, func() { b = c.appendDirective(b[:0], 'c', time.UTC) })
	// The year is one allocation, because fmt gets it as an interface. Under the race
	// detector, fmt's pool adds some.
	if allocations > 5 {
		t.Errorf("%d allocations for the 7 directives in %%c, want at most 5", int(allocations))
	}
}
