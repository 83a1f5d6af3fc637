-- Programs whose output once differed from that of lua5.1. The output of lua5.1
-- follows each program, after a line "-->". A line "--==" ends the output.
local function f(ok, p) ok = ok and p.a and p.b return ok end
print(f(true, {a = true, b = false}), f(true, {a = nil}), f(false, {}))
-->
false	nil	false
--==
local function bracket(s) s = "<" .. tostring(s) .. ">" return s end
local function id(s) s = (bracket(s)) return s end
print(bracket("ab"), id("x"))
-->
<ab>	<x>
--==
for _, v in ipairs({1, 2}) do while true do break end print(v) end
for i = 1, 2 do if false then print("no") end print(i) end
-->
1
2
1
2
--==
local function f(x) return x, 9 end
local a, b, c
a, b, c = f(1), f(2), 1
print(a, b, c)
a, b, c = f(1), f(2)
print(a, b, c)
-->
1	2	1
1	2	9
--==
local n = 0
print(n * -1, "010" + 1, 1 % 0.1, -6 % 3, 5 % -3, 2^53, 1e15, 0.1 + 0.2, -"2")
-->
-0	11	0	0	-1	9.007199254741e+15	1e+15	0.3	-2
--==
local t = {}
for i = 1, 30 do t[i] = i end
local mt = {__len = function() return 7 end, __unm = function(a, b) return type(a) .. type(b) end}
local o = setmetatable({1, 2}, mt)
print(#o, -o)
-->
2	tabletable
--==
local w = coroutine.wrap(function(...) local x, y = coroutine.yield(...) return x, y, select("#", ...) end)
print(w(1, 2)) print(w(3))
local co = coroutine.wrap(function(a) return coroutine.yield(a) end)
print(co(1)) print(co(2))
local bad = coroutine.wrap(function(a) error({code = a}) end)
local ok, e = pcall(bad, 5) print(ok, e.code)
-->
1	2
3	nil	2
1
2
false	5
--==
local function lvl(l) error("E", l) end
local function tail(l) return lvl(l) end
print(select(2, pcall(function() lvl(1) end)))
print(select(2, pcall(function()
  lvl(2) end)))
print(select(2, pcall(function() tail(2) end)))
print(select(2, pcall(lvl, 2)))
-->
p:1: E
p:5: E
E
E
--==
local t = {x = 1}
local ok, e = pcall(function()
  return t.x
    .y
    .z
end)
print((e:match("^p:%d+")))
-->
p:4
--==
for i = "1", "2" do print(i + 0) end
print(string.format("%5.1f|%-5d|%+d|%x|%s|%G", 3.14159, 42, 7, 255, 2^53, 1/0))
print(tonumber("0x10"), tonumber("1e1"), tonumber(" 10 "), tonumber("10", 2), tonumber("1 2"), tonumber(""))
-->
1
2
  3.1|42   |+7|ff|9.007199254741e+15|INF
16	10	10	2	nil	nil
--==
local t = {1, [2^63] = 2, [-2^63] = 3, [1e300] = 4, [1/0] = 5, [-1/0] = 6, [0.5] = 7}
t[-2^63] = 8
local n = 0
for k, v in pairs(t) do n = n + v end
for k, v in next, t do n = n + v end
print(n, t[-2^63])
-->
66	8
--==
print(("]a["):find("()%1"), ("aaaa"):find("a*().*%1"), ("aa"):find("(a)%1"))
print(string.format("%#x|% x|%+u|%+.0d|%.0c|%#o|%#X", 0, 255, 7, 0, 65, 8, 255))
-->
nil	nil	1	2	a
0|ff|7|+|A|010|0XFF
