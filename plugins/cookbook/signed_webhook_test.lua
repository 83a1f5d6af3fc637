local test = require("nearside.test")

local secret = "0123456789abcdef"
local event = { event_id = "e1", source = "door", create_time = "2026-01-01T00:00:00Z" }

test.case("signs the time and the body", function()
  test.http.handle(function() return { status = 204 } end)
  test.start({ secret = secret }):emit({ event, event })
  test.clock.advance(1)
  local sent = test.http.requests()[1]
  test.equal({ sent.url, sent.json.events[2] }, { "https://hooks.example.com/events", { id = "e1", source = "door", time = "2026-01-01T00:00:00Z" } })
  test.equal(sent.headers["x-timestamp"], ("%d"):format(test.clock.now()))
  test.equal(sent.headers["x-signature"], test.hash.hmac("sha256", secret, sent.headers["x-timestamp"] .. "." .. sent.body))
end)

test.case("signs again when it repeats a request", function()
  local plugin = test.start({ secret = secret })
  test.http.handle(function() return { status = 503 } end)
  plugin:emit({ event })
  test.clock.advance(1)
  test.http.handle(function() return { status = 204 } end)
  test.clock.advance(5)
  local sent = test.http.requests()
  test.equal({ #sent, sent[1].body }, { 2, sent[2].body })
  test.ok(sent[1].headers["x-signature"] ~= sent[2].headers["x-signature"])
  test.ok(plugin:status().failures > 0)
end)

test.case("does not repeat what the receiver refuses, and needs a secret", function()
  test.http.handle(function() return { status = 401 } end)
  test.start({ secret = secret }):emit({ event })
  test.clock.advance(60)
  test.equal(#test.http.requests(), 1)
  test.equal(test.log.lines()[1].fields, { count = 1, status = 401 })
  test.fails(function() test.start({ secret = "short" }) end, "secret")
end)
