package vm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	glua "github.com/yuin/gopher-lua"
)

// TestPatternsAgainstGopherLua compares random patterns with gopher-lua's matcher,
// which was written independently of lstrlib.c.
func TestPatternsAgainstGopherLua(t *testing.T) {
	stock := glua.NewState()
	defer stock.Close()
	s := newState(t)
	const source = `return function(s, p)
  local ok, a, b, c, d = pcall(string.find, s, p)
  local g, n = "", 0
  if ok then g, n = string.gsub(s, p, "<%0>") end
  return tostring(ok) .. ":" .. (ok and tostring(a) .. "," .. tostring(b) .. "," .. tostring(c) .. "," .. tostring(d) .. ":" .. g .. ":" .. n or "")
end`
	ours := loadFunction(t, s, source)
	if err := stock.DoString(source); err != nil {
		t.Fatal(err)
	}
	theirs := stock.Get(-1)
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", ".", "%a", "%d", "[ab]", "[^a]", "[a-c]", "(a)", "(.)", "()", "%w", "(b*)", "x"}
	suffixes := []string{"", "", "", "*", "+", "-", "?"}
	different := 0
	for range 3000 {
		var p strings.Builder
		if r.IntN(6) == 0 {
			p.WriteByte('^')
		}
		for range 1 + r.IntN(4) {
			part := parts[r.IntN(len(parts))]
			p.WriteString(part)
			if !strings.HasPrefix(part, "(") {
				p.WriteString(suffixes[r.IntN(len(suffixes))])
			}
		}
		if r.IntN(6) == 0 {
			p.WriteByte('$')
		}
		var text strings.Builder
		for range r.IntN(8) {
			text.WriteByte("abc1 x"[r.IntN(6)])
		}
		if err := stock.CallByParam(glua.P{Fn: theirs, NRet: 1, Protect: true}, glua.LString(text.String()), glua.LString(p.String())); err != nil {
			t.Fatal(err)
		}
		want := stock.Get(-1).String()
		stock.Pop(1)
		got, err := s.Call(context.Background(), generous, ours, text.String(), p.String())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got[0]) != want {
			if different++; different < 20 {
				t.Errorf("%q of %q: %v, want %v", p.String(), text.String(), got[0], want)
			}
		}
	}
}
