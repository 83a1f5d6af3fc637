local test = require("nearside.test")

local point = { series = "requests", time = 1767225600, tags = { route = "GET:/a" }, fields = { execution_time = 0.5 } }

test.case("creates the bucket, and posts each point", function()
  local status = 409
  test.http.handle(function()
    local now = status
    status = 201
    return { status = now }
  end)
  test.start():emit({ point, point })
  local sent = test.http.requests()
  test.equal({ #sent, sent[1].url, sent[2].url }, { 3, "http://127.0.0.1:5020/1/buckets?bucket=plugin_test_bucket", "http://127.0.0.1:5020/1/buckets/plugin_test_bucket/objects" })
  test.equal(sent[3].json, point)
end)

test.case("does not start if the bucket is refused", function()
  test.http.handle(function() return { status = 400, body = "bad name" } end)
  test.fails(function() test.start() end, "the bucket was not created: bad name")
end)

test.case("logs a point that was not sent", function()
  test.http.handle(function() return { status = 201 } end)
  local plugin = test.start()
  test.http.handle(function() return { status = 500, body = "full" } end)
  plugin:emit({ point })
  test.equal(test.log.lines()[1].fields.reason, "full")
end)
