-- clickhouse: writes points about requests and matches to a table of ClickHouse, as
-- JSONEachRow and in batches. While ClickHouse does not answer, rows wait; if too many wait,
-- the oldest are dropped and counted. A batch has a token, so that ClickHouse stores it
-- once even if it was sent twice (for tables with deduplication).
--
-- CREATE TABLE nearside (time DateTime64(3, 'UTC'), series LowCardinality(String),
--   tags Map(LowCardinality(String), String), numbers Map(LowCardinality(String), Float64),
--   texts Map(LowCardinality(String), String)) ENGINE = MergeTree ORDER BY (series, time)
--   SETTINGS non_replicated_deduplication_window = 100
local ns = require("nearside")

local M = {
  api = 1, name = "clickhouse", version = "1.0.0",
  kinds = { "event" },
  events = { "monitoring_event" },
  permissions = { "http:*" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "http://127.0.0.1:8123" },
      table = { type = "string", pattern = "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)?$", default = "nearside" },
      user = { type = "string", default = "default" },
      password = { type = "string", default = "" },
      ca_file = { type = "string", default = "" },                                     -- for https
      size = { type = "integer", minimum = 1, maximum = 100000, default = 1000 },      -- rows per request
      waiting = { type = "integer", minimum = 1, maximum = 1000000, default = 100000 }, -- rows that may wait
      seconds = { type = "number", minimum = 0.1, default = 2 },                       -- time after which fewer rows are sent
    },
  },
}

local conf, batch, written
local token -- of the rows in a flush: it stays the same when the flush is repeated
local first

-- row returns a point as a row. Fields are numbers or texts; booleans are 0 or 1.
local function row(p)
  local tags, numbers, texts = {}, {}, {}
  for k, v in pairs(p.tags) do tags[k] = tostring(v) end
  for k, v in pairs(p.fields) do
    if type(v) == "boolean" then v = v and 1 or 0 end
    if type(v) == "number" then numbers[k] = v else texts[k] = tostring(v) end
  end
  return ns.json.encode({
    time = ns.time.format(p.time, "%Y-%m-%d %H:%M:%S.%L"), series = p.series,
    tags = ns.json.object(tags), numbers = ns.json.object(numbers), texts = ns.json.object(texts),
  })
end

local function flush(rows)
  if rows[1] ~= first then first, token = rows[1], ns.uuid() end
  local answer, err = ns.http.post(conf.url, {
    query = { query = "INSERT INTO " .. conf.table .. " FORMAT JSONEachRow", insert_deduplication_token = token },
    headers = { ["X-ClickHouse-User"] = conf.user, ["X-ClickHouse-Key"] = conf.password },
    ca_file = conf.ca_file ~= "" and conf.ca_file or nil, body = table.concat(rows, "\n"),
  })
  if not answer then return false, err end -- ns.batch calls again with the same rows
  if answer.status >= 500 or answer.status == 429 then return false, "status " .. answer.status end
  first = nil
  written:add(#rows, { outcome = answer.status == 200 and "written" or "refused" })
  if answer.status ~= 200 then ns.log.warn("rows were refused", { count = #rows, status = answer.status, reason = answer.body }) end
end

function M:initialize(settings)
  conf = settings
  written = ns.metrics.counter("rows", "Rows by outcome.", { "outcome" })
  batch = ns.batch({ size = conf.size, seconds = conf.seconds, max = conf.waiting, flush = flush })
end

function M:handle_event(points)
  for i, p in ipairs(points) do
    batch:add(row(p))
    if i % 64 == 0 then ns.sleep(0) end -- lets other calls of this plugin run
  end
end

return M
