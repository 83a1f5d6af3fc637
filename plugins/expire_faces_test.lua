local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local other = "22222222-0000-4000-8000-000000000000"
local account = "33333333-0000-4000-8000-000000000000"

-- begin starts the plugin on 2026-01-01 at midnight, with four faces.
local function begin(settings)
  local plugin = test.start(settings)
  test.store.put_list({ list_id = list })
  test.store.put_list({ list_id = other })
  test.store.put_face({ external_id = "old", create_time = "2025-11-30T00:00:00Z", lists = { list, other } })
  test.store.put_face({ external_id = "edge", create_time = "2025-12-02T03:00:00Z" })
  test.store.put_face({ external_id = "before", create_time = "2025-12-02T02:59:59Z", account_id = account })
  test.store.put_face({ external_id = "new" })
  return plugin
end

local function left()
  local names = {}
  for i, face in ipairs(test.store.faces()) do names[i] = face.external_id end
  table.sort(names)
  return table.concat(names, " ")
end

test.case("deletes old faces at three in the night", function()
  begin({ days = 30 })
  test.clock.advance(3 * 3600 - 1)
  test.equal(left(), "before edge new old")
  test.clock.advance(1)
  test.equal(left(), "edge new")
  test.equal(test.metric("deleted"), 2)
  test.clock.advance(86400)
  test.equal(left(), "new")
  test.equal(test.log.lines()[1].fields, { count = 2, before = "2025-12-02T03:00:00Z" })
end)

test.case("deletes only faces of its lists, or of its account", function()
  local plugin = begin({ days = 30, lists = { list } })
  test.clock.advance(3 * 3600)
  test.equal(left(), "before edge new")
  plugin:close()
  test.start({ days = 30, account_id = account })
  test.clock.advance(86400)
  test.equal(left(), "edge new")
end)

test.case("has its own time and zone, and may only count", function()
  local plugin = begin({ days = 30, cron = "30 6 * * *", zone = "Asia/Tokyo", dry_run = true })
  test.clock.advance(21.5 * 3600) -- 06:30 in Tokyo
  test.equal(test.log.lines()[1].fields.count, 3)
  test.equal(left(), "before edge new old")
  test.equal(plugin:request("GET", "/preview", { role = "read" }).json, { count = 3, before = "2025-12-02T21:30:00Z" })
  test.fails(function() plugin:request("GET", "/preview", { role = "match" }) end, "role")
end)

test.case("tries again while the store is down", function()
  begin({ days = 30 })
  test.store.down("the disk is full")
  test.clock.advance(4 * 3600)
  test.equal(left(), "before edge new old")
  test.contains(test.log.lines()[1].fields.error, "the disk is full")
  test.store.down()
  test.clock.advance(299)
  test.equal(left(), "before edge new old")
  test.clock.advance(1)
  test.equal(left(), "new") -- by the age at the time of this attempt
  test.clock.advance(3600)
  local deletions = 0
  for _, line in ipairs(test.log.lines()) do
    if line.message == "faces were deleted" then deletions = deletions + 1 end
  end
  test.equal(deletions, 1, "it is not tried again after that")
end)

test.case("refuses settings that would delete too much, or never run", function()
  test.fails(function() test.start() end, "days")
  test.fails(function() test.start({ days = 0 }) end, "days")
  test.fails(function() test.start({ days = 1, lists = {} }) end, "lists")
  test.fails(function() test.start({ days = 1, cron = "61 3 * * *" }) end, "61")
  test.fails(function() test.start({ days = 1, zone = "Mars" }) end, "Mars")
end)
