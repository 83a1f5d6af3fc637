local test = require("nearside.test")

local point = {
  series = "requests", time = 1767225600.5,
  tags = { service = "nearside", route = "POST:/matcher/faces", status_code = 201 },
  fields = { request_id = "1767225600,0a", execution_time = 0.25 },
}

for _, status in ipairs({ 201, 409 }) do
  test.case("makes the bucket: " .. status .. " is fine", function()
    test.http.handle(function() return { status = status } end)
    test.start()
    local requests = test.http.requests()
    test.equal(#requests, 1)
    test.equal({ requests[1].method, requests[1].url }, { "POST", "http://127.0.0.1:5020/1/buckets?bucket=plugin_test_bucket" })
  end)
end

test.case("does not start without its bucket", function()
  test.fails(function() test.start() end, "connection refused")
  test.http.handle(function() return { status = 500, body = "no room" } end)
  test.fails(function() test.start() end, "status 500: no room")
end)

test.case("posts points with tags and fields", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start({ bucket = "b" })
  plugin:emit({ point, { series = "Matching-Process", time = 1, tags = {}, fields = {} } })
  local sent = test.http.requests()[2]
  test.equal(sent.path, "/1/buckets/b/objects")
  test.equal(sent.json, { points = { point } })
  plugin:emit({ { series = "Matching-Process", time = 1, tags = {}, fields = {} } })
  test.equal(#test.http.requests(), 2, "nothing to send, nothing sent")
end)

test.case("goes on when a batch is lost", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start()
  test.http.handle(function() return nil, "no route to host" end)
  plugin:emit({ point })
  test.contains(test.log.lines()[1].fields.reason, "no route to host")
end)
