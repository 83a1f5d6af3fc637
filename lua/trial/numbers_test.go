package trial

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"nearside/lua/luatest"
)

// TestJSONIsExact decodes and encodes random JSON and compares the texts.
func TestJSONIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var value func(depth int) string
	value = func(depth int) string {
		switch n := r.IntN(9); {
		case n < 3:
			return []string{"0", "-0.0", "1", "-1", "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551615", "123456789012345678901234567890", "0.1", "1e-7", "1e+300", "-2.5"}[r.IntN(13)]
		case n == 3:
			return strconv.FormatInt(r.Int64()-1<<62, 10)
		case n == 4:
			return []string{"null", "true", "false", `""`, `"ü<"`, `"9007199254740993"`}[r.IntN(6)]
		case depth == 0:
			return "[]"
		case n < 7:
			items := make([]string, r.IntN(4))
			for i := range items {
				items[i] = value(depth - 1)
			}
			return "[" + strings.Join(items, ",") + "]"
		default:
			items := make([]string, r.IntN(4))
			for i := range items {
				items[i] = fmt.Sprintf(`"k%d":%s`, i, value(depth-1))
			}
			return "{" + strings.Join(items, ",") + "}"
		}
	}
	var texts []string
	for range 300 {
		texts = append(texts, value(5))
	}
	quoted, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("POST", "/x", function(req)
    local out = {}
    for i, text in ipairs(ns.json.decode(req.body)) do
      local v, err = ns.json.decode(text)
      ns.kv.set("v", v)
      local again = ns.json.encode(ns.kv.get("v"))
      if text == "null" then again = ns.json.encode(v) end
      if err or again ~= text then out[#out + 1] = text .. " became " .. tostring(err or again) end
    end
    return 200, table.concat(out, "\n")
  end)
end`), `
test.case("the same", function()
  test.equal(test.start():request("POST", "/x", {body = `+luatest.QuoteLua(string(quoted))+`}).body, "")
end)`)
}

// TestNumbers checks boxed integers and the numbers of JSON.
func TestNumbers(t *testing.T) {
	wantPass(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("POST", "/echo", function(req) return 200, {v = ns.json.decode(req.body)} end)
end`), `
test.case("int64", function()
  local big = test.json.decode("9007199254740993")
  test.equal({tostring(big), big == test.int64("9007199254740993"), big > test.int64("9007199254740992")}, {"9007199254740993", true, true})
  test.equal(test.json.encode({big}), "[9007199254740993]")
  test.equal({test.int64.compare(big, 9007199254740992), test.int64.compare(2^60, big), test.int64.compare(1, 1.5), test.int64.compare(test.int64(5), 5), test.int64.compare(test.int64(-1), 1/0)}, {1, 1, -1, 0, -1})
  test.fails(function() test.int64("1.5") end, '"1.5" is not a whole number in decimal digits')
  test.fails(function() test.int64(1.5) end, "1.5 is not a whole number")
  test.fails(function() test.int64.compare(0/0, big) end, "argument 1 is not a number (NaN)")
  test.fails(function() test.int64.compare(big, "1") end, "argument 2 is not a number or an int64")
  test.fails(function() test.int64() end, "not a text")
end)
test.case("json", function()
  for text, want in pairs({["1e400"] = "beyond the range", ["\"\255\""] = "not UTF-8", [("["):rep(70) .. ("]"):rep(70)] = "nested deeper", ["1 2"] = "more text after"}) do
    local v, err = test.json.decode(text)
    test.equal(v, nil)
    test.contains(err, want)
  end
  test.fails(function() test.json.encode({a = "\255"}) end, "a: text that is not UTF-8")
  test.fails(function() test.json.encode({["\255"] = 1}) end, "not UTF-8")
  local zero = 0
  test.equal(test.json.encode({2^53, 2^60, -2^63, 2^63, -zero, 1e300}), "[9007199254740992,1152921504606846976,-9223372036854775808,9223372036854775808,-0.0,1e+300]")
end)
test.case("a route's body", function()
  test.equal(test.start():request("POST", "/echo", {body = "[9007199254740993,-9223372036854775809]"}).body, '{"v":[9007199254740993,-9223372036854775809]}')
end)`)
}
