local test = require("nearside.test")

local function point(n)
  return { series = "requests", time = 1767225600 + n, tags = { route = "GET:/a b", status_code = 200 }, fields = { execution_time = 0.5, request_id = 'x"y' } }
end

test.case("writes lines in batches", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ size = 2, token = "secret" })
  plugin:emit({ point(0), point(1), point(2) })
  local requests = test.http.requests()
  test.equal(#requests, 1, "the third point waits")
  test.equal(requests[1].url, "http://127.0.0.1:8086/api/v2/write?bucket=nearside&org=nearside&precision=ms")
  test.equal(requests[1].headers.authorization, "Token secret")
  test.equal(requests[1].body,
    'requests,route=GET:/a\\ b,status_code=200 execution_time=0.5,request_id="x\\"y" 1767225600000\n' ..
    'requests,route=GET:/a\\ b,status_code=200 execution_time=0.5,request_id="x\\"y" 1767225601000')
  test.clock.advance(2)
  test.equal(#test.http.requests(), 2, "after two seconds it is sent alone")
  test.equal(test.metric("points", { "written" }), 3)
end)

test.case("sends the remaining points when it is closed", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start()
  plugin:emit({ point(0) })
  plugin:close()
  test.equal(#test.http.requests(), 1)
end)

test.case("repeats failed requests, in order", function()
  local plugin = test.start({ size = 1 })
  plugin:emit({ point(0), point(1) })
  test.clock.advance(100)
  test.ok(plugin:status().failures > 3, "each attempt is reported")
  test.http.handle(function() return { status = 503 } end)
  test.clock.advance(100)
  local before = #test.http.requests()
  test.http.handle(function() return { status = 204 } end)
  test.clock.advance(60)
  test.equal(test.metric("points", { "written" }), 2)
  local sent = test.http.requests()
  test.equal(#sent, before + 2)
  test.contains(sent[#sent - 1].body, "1767225600000")
  test.contains(sent[#sent].body, "1767225601000")
end)

test.case("drops the oldest points if too many wait, and counts them", function()
  local plugin = test.start({ size = 1 }) -- 10 may wait
  for n = 1, 13 do plugin:emit({ point(n) }) end
  test.clock.advance(5)
  test.equal(plugin:status().dropped, 3)
end)

test.case("does not repeat points that the database refuses", function()
  test.http.handle(function() return { status = 400, body = "bad line" } end)
  local plugin = test.start({ size = 1 })
  plugin:emit({ point(0) })
  test.clock.advance(100)
  test.equal(#test.http.requests(), 1)
  test.equal(test.metric("points", { "lost" }), 1)
  test.contains(test.log.lines()[1].fields.reason, "bad line")
end)
