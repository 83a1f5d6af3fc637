local test = require("nearside.test")

local point = {
  series = "requests", time = 1767225600.5,
  tags = { service = "nearside", route = "POST:/matcher/faces", status_code = 201 },
  fields = { request_id = "1767225600,0a", execution_time = 0.25 },
}

for _, status in ipairs({ 201, 409 }) do
  test.case("creates the bucket and accepts status " .. status, function()
    test.http.handle(function() return { status = status } end)
    test.start()
    local requests = test.http.requests()
    test.equal(#requests, 1)
    test.equal({ requests[1].method, requests[1].url }, { "POST", "http://127.0.0.1:5020/1/buckets?bucket=plugin_test_bucket" })
  end)
end

test.case("does not start if the bucket is refused", function()
  test.http.handle(function() return { status = 403, body = "not allowed" } end)
  test.fails(function() test.start() end, "status 403: not allowed")
end)

test.case("starts without the store, and creates the bucket later", function()
  local plugin = test.start()
  test.contains(test.log.lines()[1].fields.reason, "connection refused")
  plugin:emit({ point })
  test.http.handle(function() return { status = 201 } end)
  test.clock.advance(60)
  local sent = test.http.requests()
  test.equal({ sent[#sent - 1].path, sent[#sent].path }, { "/1/buckets", "/1/buckets/plugin_test_bucket/objects" })
  test.equal(sent[#sent].json, { points = { point } })
  plugin:status() -- failed attempts are reported
end)

test.case("posts points with tags and fields", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start({ bucket = "b" })
  plugin:emit({ point, { series = "Matching-Process", time = 1, tags = {}, fields = {} } })
  local sent = test.http.requests()[2]
  test.equal(sent.path, "/1/buckets/b/objects")
  test.equal(sent.json, { points = { point } })
  plugin:emit({ { series = "Matching-Process", time = 1, tags = {}, fields = {} } })
  test.equal(#test.http.requests(), 2, "no request without points of the series")
end)

test.case("repeats failed requests", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start()
  test.http.handle(function() return nil, "no route to host" end)
  plugin:emit({ point })
  test.contains(test.log.lines()[1].fields.reason, "no route to host")
  plugin:emit({ point, point })
  test.clock.advance(300)
  test.ok(plugin:status().failures > 0, "failed attempts are reported")
  test.http.handle(function() return { status = 201 } end)
  test.clock.advance(60)
  local sent = test.http.requests()
  test.equal(#sent[#sent].json.points, 3, "all waiting points")
  plugin:emit({ point })
  test.equal(#test.http.requests(), #sent + 1, "later points are sent at once")
end)

test.case("does not repeat points that the store refuses", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start()
  test.http.handle(function() return { status = 400, body = "bad point" } end)
  plugin:emit({ point })
  test.clock.advance(60)
  test.equal(#test.http.requests(), 2)
  test.contains(test.log.lines()[1].fields.reason, "bad point")
end)
