-- influx: writes points to InfluxDB (v2) in line protocol, in batches. While InfluxDB
-- does not answer, points wait. If more wait than fit into 10 requests, the oldest are dropped.
local ns = require("nearside")

local M = {
  api = 1, name = "influx", version = "1.1.0",
  kinds = { "event" },
  events = { "monitoring_event" },
  permissions = { "http:*" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "http://127.0.0.1:8086" },
      org = { type = "string", default = "nearside" },
      bucket = { type = "string", default = "nearside" },
      token = { type = "string", default = "" },
      size = { type = "integer", minimum = 1, maximum = 10000, default = 1000 }, -- points per request
      seconds = { type = "number", minimum = 0.1, default = 2 },                 -- time after which fewer points are sent
    },
  },
}

-- Most points have the same few names and tags, so the escaped texts are cached.
local known, size = {}, 0

local function escaped(text)
  local e = known[text]
  if e then return e end
  if size >= 1000 then known, size = {}, 0 end
  e = tostring(text):gsub("([,= \\])", "\\%1"):gsub("\n", " ")
  known[text], size = e, size + 1
  return e
end

-- pairs_text sorts the keys, so that equal points give equal lines.
local function pairs_text(t, value)
  local parts = {}
  for k, v in pairs(t) do parts[#parts + 1] = escaped(k) .. "=" .. value(v) end
  table.sort(parts)
  return table.concat(parts, ",")
end

local function field(v)
  if type(v) == "string" then return '"' .. v:gsub('(["\\])', "\\%1") .. '"' end
  return tostring(v)
end

local function line(p)
  local tags = pairs_text(p.tags, escaped)
  if tags ~= "" then tags = "," .. tags end
  return escaped(p.series) .. tags .. " " .. pairs_text(p.fields, field) .. " " .. ("%.0f"):format(p.time * 1000)
end

local batch

function M:initialize(conf)
  local headers = { ["Content-Type"] = "text/plain; charset=utf-8" }
  if conf.token ~= "" then headers["Authorization"] = "Token " .. conf.token end
  local written = ns.metrics.counter("points", "Points by outcome.", { "outcome" })
  batch = ns.batch({ size = conf.size, seconds = conf.seconds, max = 10 * conf.size, flush = function(lines)
    local answer, err = ns.http.post(conf.url .. "/api/v2/write", {
      query = { org = conf.org, bucket = conf.bucket, precision = "ms" }, headers = headers, body = table.concat(lines, "\n"),
    })
    if not answer then return false, err end -- ns.batch calls again with the same lines
    if answer.status >= 500 or answer.status == 429 then return false, "status " .. answer.status end
    local ok = answer.status < 300 -- false: the lines are refused, and a retry would not help
    written:add(#lines, { outcome = ok and "written" or "lost" })
    if not ok then ns.log.warn("points were refused", { count = #lines, status = answer.status, reason = answer.body }) end
  end })
end

function M:handle_event(points)
  for i, p in ipairs(points) do
    batch:add(line(p))
    if i % 64 == 0 then ns.sleep(0) end -- lets other calls of this plugin run, and starts a new time slice of 50 ms
  end
end

return M
