-- unknown_person: sends an alert for each stored event whose best match is below a
-- threshold, or which has no match at all. Events of one stream cause at most one alert in
-- a time. While the webhook does not answer, up to 10,000 alerts wait.
local ns = require("nearside")

local M = {
  api = 1, name = "unknown_person", version = "1.0.0",
  kinds = { "event", "background" },
  events = { "sending_event" }, -- objects of POST /1/events, after they are stored
  permissions = { "http:*" },   -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    required = { "url" },
    properties = {
      url = { type = "string" },
      similarity = { type = "number", minimum = 0, maximum = 1, default = 0.7 }, -- below it, a person is unknown
      sources = { type = "array", items = { type = "string" }, default = {} },   -- empty: all sources
      from = { type = "integer", minimum = 0, maximum = 23, default = 0 },       -- hours of the day in the zone;
      to = { type = "integer", minimum = 1, maximum = 24, default = 24 },        -- from 22 to 6 is the night
      zone = { type = "string", default = "UTC" },
      quiet = { type = "number", minimum = 0, default = 60 },                    -- seconds between alerts of one stream
      seconds = { type = "number", minimum = 0.1, default = 5 },                 -- alerts within this time are sent together
    },
  },
}

local conf, batch
local watched, counts = {}, { sent = 0, refused = 0 }

local function flush(alerts)
  local answer, err = ns.http.post(conf.url, { json = { alerts = alerts }, retries = 2 })
  if not answer then return false, err end -- ns.batch calls again with the same alerts
  if answer.status >= 500 or answer.status == 429 then return false, "status " .. answer.status end
  local outcome = answer.status < 300 and "sent" or "refused"
  counts[outcome] = counts[outcome] + #alerts
  if outcome == "refused" then ns.log.warn("alerts were refused", { count = #alerts, status = answer.status }) end
end

function M:initialize(settings)
  conf = settings
  ns.time.format(0, "%H", conf.zone) -- an unknown zone is a fault at the start
  for _, source in ipairs(conf.sources) do watched[source] = true end
  batch = ns.batch({ size = 100, max = 10000, seconds = conf.seconds, flush = flush })
end

-- within reports whether the hour of a time is in the configured part of the day.
local function within(text)
  local time = text and ns.time.parse(text) or ns.now()
  local hour = tonumber(ns.time.format(time, "%H", conf.zone))
  if conf.from < conf.to then return hour >= conf.from and hour < conf.to end
  return hour >= conf.from or hour < conf.to
end

function M:handle_event(events)
  for _, e in ipairs(events) do
    local similarity = e.top_match and e.top_match.similarity
    local unknown = not similarity or similarity < conf.similarity
    if unknown and (#conf.sources == 0 or watched[e.source]) and within(e.create_time) then
      local stream = e.stream_id or e.source or ""
      if conf.quiet == 0 or ns.kv.add("quiet " .. stream, true, conf.quiet) then -- also after a reload
        batch:add({ event_id = e.event_id, source = e.source, stream_id = e.stream_id, time = e.create_time, similarity = similarity })
      end
    end
  end
end

function M:start()
  ns.route("GET", "/status", function()
    return 200, { sent = counts.sent, refused = counts.refused, dropped = batch:dropped() }
  end, { role = "read" })
end

return M
