local test = require("nearside.test")

local url = "http://hook:8080/alerts"
local function event(person, similarity)
  return {
    event_id = "00000000-0000-4000-8000-000000000001", source = "cam-1", create_time = "2026-01-01T00:00:00.000Z",
    top_match = { object_id = "object of " .. person, external_id = person, similarity = similarity },
  }
end

test.case("alerts of those who are watched, together", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ url = url, external_ids = { "eve", "mallory" } })
  plugin:emit({ event("eve", 0.95), event("alice", 0.99), event("mallory", 0.5), { event_id = "no match" } })
  plugin:emit({ event("mallory", 0.9) })
  test.equal(#test.http.requests(), 0, "they wait for each other")
  test.clock.advance(5)
  local sent = test.http.requests()
  test.equal({ #sent, sent[1].url, #sent[1].json.alerts }, { 1, url, 2 })
  test.equal(sent[1].json.alerts[1].person, "eve")
  test.equal(plugin:request("GET", "/status").json, { sent = 2, lost = 0 })
end)

test.case("is quiet for a minute, also over a reload", function()
  test.http.handle(function() return { status = 204 } end)
  local plugin = test.start({ url = url })
  plugin:emit({ event("eve", 1), event("eve", 1) })
  test.clock.advance(30)
  plugin:reload()
  plugin:emit({ event("eve", 1) })
  test.clock.advance(31)
  test.equal(#test.http.requests(), 1)
  plugin:emit({ event("eve", 1) })
  test.clock.advance(5)
  test.equal(#test.http.requests(), 2)
end)

test.case("counts what is lost; sends the rest at the end", function()
  local plugin = test.start({ url = url })
  plugin:emit({ event("eve", 1) })
  test.clock.advance(5)
  test.equal(plugin:request("GET", "/status").json, { sent = 0, lost = 1 })
  plugin:emit({ event("mallory", 1) })
  plugin:close()
  test.equal(#test.http.requests(), 2)
end)
