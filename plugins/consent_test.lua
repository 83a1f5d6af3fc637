local test = require("nearside.test")

local rows = test.faces({ { external_id = "anna" }, { external_id = "ben" }, {}, { external_id = "anna" } })

local function kept(plugin)
  local found = {}
  for i, row in ipairs(plugin:prefilter(rows)) do found[i] = row.external_id end
  return table.concat(found, " ")
end

test.case("keeps only persons in the list, and follows its changes", function()
  test.redis.call("SADD", "nearside:consent", "anna", "carl")
  local plugin = test.start()
  test.equal(kept(plugin), "anna anna")
  test.redis.call("SADD", "nearside:consent", "ben")
  test.redis.call("SREM", "nearside:consent", "anna")
  test.clock.advance(5)
  test.equal(kept(plugin), "ben")
  plugin:reload()
  test.equal(kept(plugin), "ben")
end)

test.case("keeps nobody if nobody has agreed", function()
  local plugin = test.start()
  test.equal(kept(plugin), "")
end)

test.case("refuses requests while the list is too old", function()
  test.redis.call("SADD", "nearside:consent", "anna")
  local plugin = test.start({ stale = 20 })
  test.redis.down("connection refused")
  test.clock.advance(15)
  test.equal(kept(plugin), "anna anna")
  test.clock.advance(10)
  test.fails(function() kept(plugin) end, "has not been read for 20 seconds")
  test.redis.down()
  test.clock.advance(5)
  test.equal(kept(plugin), "anna anna")
  test.ok(plugin:status().failures > 0)
end)

test.case("refuses requests if the list was never read", function()
  test.redis.down("connection refused")
  local plugin = test.start()
  test.fails(function() kept(plugin) end, "has not been read")
  test.ok(plugin:status().failures > 0)
end)
