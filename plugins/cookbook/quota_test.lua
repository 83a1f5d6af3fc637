local test = require("nearside.test")

local function match(plugin, key, options)
  options = options or {}
  options.key = key
  local sets, rejection = plugin:match_request({}, options)
  return sets and "ok" or rejection.status .. " " .. rejection.detail
end

test.case("rejects matches beyond the quota of a key, until the minute is over", function()
  local plugin = test.start({ matches = 2 })
  test.equal({ match(plugin, "a"), match(plugin, "a") }, { "ok", "ok" })
  test.equal(match(plugin, "a"), "429 at most 2 matches in a minute are allowed")
  test.equal({ match(plugin, "b"), match(plugin) }, { "ok", "ok" })
  test.clock.advance(59)
  test.ok(match(plugin, "a") ~= "ok")
  test.clock.advance(1)
  test.equal(match(plugin, "a"), "ok")
  test.equal(plugin:status().failures, 0, "a rejection is no failure")
end)

test.case("rejects too many references, and does not count them", function()
  local plugin = test.start({ matches = 1, references = 1 })
  local face = { type = "face", id = "00000000-0000-4000-8000-000000000001" }
  test.equal(match(plugin, "a", { references = { face, face } }), "413 at most 1 references are allowed, got 2")
  test.equal(match(plugin, "a", { references = { face } }), "ok")
end)

test.case("does not count requests of other servers", function()
  local plugin = test.start({ matches = 1 })
  for _ = 1, 3 do test.equal(match(plugin, "a", { forwarded = true }), "ok") end
  test.equal(match(plugin, "a"), "ok")
end)
