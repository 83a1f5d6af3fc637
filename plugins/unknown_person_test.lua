local test = require("nearside.test")

local function event(fields)
  fields.event_id = fields.event_id or "00000000-0000-4000-8000-000000000001"
  fields.create_time = fields.create_time or "2026-01-01T12:00:00Z"
  return fields
end

local function sent()
  local ids = {}
  for _, r in ipairs(test.http.requests()) do
    for _, alert in ipairs(r.json.alerts) do ids[#ids + 1] = alert.event_id end
  end
  return table.concat(ids, " ")
end

test.case("alerts when nobody is similar enough", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ url = "http://hook/", quiet = 0 })
  plugin:emit({
    event({ event_id = "none" }), event({ event_id = "below", top_match = { similarity = 0.69 } }),
    event({ event_id = "known", top_match = { similarity = 0.7 } }), event({ event_id = "odd", top_match = {} }),
  })
  test.clock.advance(5)
  test.equal(sent(), "none below odd")
  test.equal(plugin:request("GET", "/status", { role = "read" }).json, { sent = 3, refused = 0, dropped = 0 })
  test.fails(function() plugin:request("GET", "/status", { role = "match" }) end, "role")
end)

test.case("alerts once per stream and time, also after a reload", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ url = "http://hook/", quiet = 60 })
  plugin:emit({ event({ event_id = "a", stream_id = "s" }), event({ event_id = "b", stream_id = "s" }), event({ event_id = "c", stream_id = "t" }) })
  plugin:reload()
  plugin:emit({ event({ event_id = "d", stream_id = "s" }) })
  test.clock.advance(61)
  plugin:emit({ event({ event_id = "e", stream_id = "s" }) })
  test.clock.advance(5)
  test.equal(sent(), "a c e")
end)

test.case("looks only at its sources and hours", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ url = "http://hook/", quiet = 0, sources = { "door" }, from = 22, to = 6, zone = "Europe/Berlin" })
  plugin:emit({
    event({ event_id = "day", source = "door" }), event({ event_id = "evening", source = "door", create_time = "2026-01-01T21:00:00Z" }),
    event({ event_id = "morning", source = "door", create_time = "2026-01-01T04:59:59Z" }), event({ event_id = "six", source = "door", create_time = "2026-01-01T05:00:00Z" }),
    event({ event_id = "other", source = "hall", create_time = "2026-01-01T21:00:00Z" }),
  })
  test.clock.advance(5)
  test.equal(sent(), "evening morning")
  plugin:close()
  plugin = test.start({ url = "http://hook/", quiet = 0, from = 8, to = 12 })
  for _, hour in ipairs({ "07:59:59", "08:00:00", "11:59:59", "12:00:00" }) do
    plugin:emit({ event({ event_id = hour, create_time = "2026-01-01T" .. hour .. "Z" }) })
  end
  test.clock.advance(5)
  test.equal(sent(), "evening morning 08:00:00 11:59:59")
end)

test.case("repeats alerts until the webhook takes them, and counts refusals", function()
  local status = 503
  test.http.handle(function() return { status = status } end)
  local plugin = test.start({ url = "http://hook/", quiet = 0 })
  plugin:emit({ event({ event_id = "a" }) })
  test.clock.advance(30)
  test.ok(plugin:status().failures > 0)
  status = 204
  test.clock.advance(60)
  test.equal(plugin:request("GET", "/status").json.sent, 1)
  status = 400
  plugin:emit({ event({ event_id = "b" }) })
  test.clock.advance(60)
  test.equal(plugin:request("GET", "/status").json, { sent = 1, refused = 1, dropped = 0 })
  test.fails(function() test.start({ url = "http://hook/", zone = "Mars" }) end, "zone")
end)
