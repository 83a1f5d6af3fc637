package vm

import (
	"strings"
	"testing"
)

// TestFormatAgainstLua51 compares string.format with lua5.1 for many combinations
// of flags, width, precision and letter.
func TestFormatAgainstLua51(t *testing.T) {
	const program = `
local F = {"", "-", "+", " ", "#", "0", "-0", "+ ", "-+", "# ", "#0", "+0", " 0", "-#"}
local W, P = {"", "1", "8", "12"}, {"", ".", ".0", ".3", ".10"}
local V = {0, 1, -1, 255, 65, 3.7, -3.7, 1e10, 2^53, -2^53, 1e300, 1/0, -1/0, 0.1, 123456.789, -0.0, 2^63, "7", "abc", ""}
local out = {}
for _, f in ipairs(F) do for _, w in ipairs(W) do for _, p in ipairs(P) do for _, v in ipairs(V) do
  local s = "%" .. f .. w .. p .. LETTER
  local ok, r = pcall(string.format, s, v)
  out[#out + 1] = s .. " " .. tostring(v) .. " " .. (ok and r:gsub("%c", "~") or "refused")
end end end end
return table.concat(out, "\n")`
	for letter := range strings.SplitSeq("d i u x X o c s e E f g G q", " ") {
		source := strings.Replace(program, "LETTER", "'"+letter+"'", 1)
		got, err := runBody(t, source)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(runLua51(t, "UTC", "io.write((function() "+source+" end)())"), "\n")
		for i, line := range strings.Split(got[0].(string), "\n") {
			if line != want[i] {
				t.Errorf("%q, lua5.1 has %q", line, want[i])
			}
		}
	}
}
