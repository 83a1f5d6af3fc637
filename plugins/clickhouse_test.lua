local test = require("nearside.test")

local function point(n, fields)
  return { series = "requests", time = 1767225600.25 + n, tags = { route = "GET:/a", status_code = 200 }, fields = fields or { execution_time = 0.5 } }
end

local function rows(request)
  local all = {}
  for line in (request.body .. "\n"):gmatch("(.-)\n") do all[#all + 1] = test.json.decode(line) end
  return all
end

test.case("writes rows in batches", function()
  test.http.handle(function() return { status = 200 } end)
  local plugin = test.start({ size = 2, user = "u", password = "secret", table = "db.points" })
  plugin:emit({ point(0), point(1, { ok = true, no = false, id = 'x"y\n', n = 3 }), point(2, {}) })
  local sent = test.http.requests()
  test.equal(#sent, 1, "the third point waits")
  test.equal({ sent[1].method, sent[1].path, sent[1].query.query }, { "POST", "", "INSERT INTO db.points FORMAT JSONEachRow" })
  test.equal({ sent[1].headers["x-clickhouse-user"], sent[1].headers["x-clickhouse-key"] }, { "u", "secret" })
  test.equal(rows(sent[1]), {
    { time = "2026-01-01 00:00:00.250", series = "requests", tags = { route = "GET:/a", status_code = "200" }, numbers = { execution_time = 0.5 }, texts = {} },
    { time = "2026-01-01 00:00:01.250", series = "requests", tags = { route = "GET:/a", status_code = "200" }, numbers = { ok = 1, no = 0, n = 3 }, texts = { id = 'x"y\n' } },
  })
  test.clock.advance(2)
  test.equal(#test.http.requests(), 2)
  test.contains(test.http.requests()[2].body, '"numbers":{}')
  test.contains(test.http.requests()[2].body, '"texts":{}')
  test.equal(test.metric("rows", { "written" }), 3)
end)

test.case("repeats a batch with the same token, and uses another one for the next", function()
  local plugin = test.start({ size = 1 })
  plugin:emit({ point(0) })
  test.http.handle(function() return { status = 503 } end)
  test.clock.advance(10)
  test.http.handle(function() return { status = 200 } end)
  test.clock.advance(60)
  plugin:emit({ point(0) })
  local sent = test.http.requests()
  local tokens = {}
  for i, r in ipairs(sent) do tokens[i] = r.query.insert_deduplication_token end
  test.ok(#sent > 3)
  test.equal(tokens[1], tokens[#tokens - 1])
  test.ok(tokens[#tokens] ~= tokens[1])
  test.equal(test.metric("rows", { "written" }), 2)
  test.ok(plugin:status().failures > 0)
end)

test.case("drops the oldest rows if too many wait, and counts them", function()
  local plugin = test.start({ size = 1, waiting = 5 })
  for n = 1, 8 do plugin:emit({ point(n) }) end
  test.clock.advance(5)
  test.equal(plugin:status().dropped, 3)
  test.http.handle(function() return { status = 200 } end)
  test.clock.advance(60)
  test.equal(test.metric("rows", { "written" }), 5)
end)

test.case("does not repeat rows that the database refuses, and flushes at the end", function()
  test.http.handle(function() return { status = 400, body = "no such table" } end)
  local plugin = test.start({ size = 1 })
  plugin:emit({ point(0) })
  test.clock.advance(60)
  test.equal(#test.http.requests(), 1)
  test.equal(test.metric("rows", { "refused" }), 1)
  test.http.handle(function() return { status = 200 } end)
  plugin:close()
  local other = test.start({ size = 100 })
  other:emit({ point(1) })
  other:close()
  test.equal(test.metric("rows", { "written" }), 1)
end)

test.case("refuses a table name that is no name", function()
  test.fails(function() test.start({ table = "x; DROP TABLE y" }) end, "plugins.settings.clickhouse: table")
end)
