-- watchlist_alert: sends events whose best match is on a watchlist to a webhook. It
-- has two kinds: as an event plugin it receives stored events, as a background plugin
-- it serves its counts. While the webhook does not answer, up to 10,000 alerts wait.
local ns = require("nearside")

local M = {
  api = 1, name = "watchlist_alert", version = "1.1.0",
  kinds = { "event", "background" },
  events = { "sending_event" }, -- objects of POST /1/events, after they are stored
  permissions = { "http:*" },   -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    required = { "url" },
    properties = {
      url = { type = "string" },
      external_ids = { type = "array", items = { type = "string" }, default = {} }, -- empty: all persons
      similarity = { type = "number", minimum = 0, maximum = 1, default = 0.9 },
      seconds = { type = "number", minimum = 0.1, default = 5 }, -- alerts within this time are sent together
      quiet = { type = "number", minimum = 0, default = 60 },    -- time in which a person causes only one alert
    },
  },
}

local conf, batch
local watched, counts = {}, { sent = 0, lost = 0 }

local function flush(alerts)
  local answer, err = ns.http.post(conf.url, { json = { alerts = alerts } })
  if not answer then return false, err end -- ns.batch calls again with the same alerts
  if answer.status >= 500 or answer.status == 429 then return false, "status " .. answer.status end
  local outcome = answer.status < 300 and "sent" or "lost" -- lost: the webhook refused them
  counts[outcome] = counts[outcome] + #alerts
  if outcome == "lost" then ns.log.warn("alerts were refused", { count = #alerts, status = answer.status }) end
end

function M:initialize(settings)
  conf = settings
  for _, id in ipairs(conf.external_ids) do watched[id] = true end
  batch = ns.batch({ size = 100, max = 10000, seconds = conf.seconds, flush = flush })
end

function M:handle_event(events)
  for _, e in ipairs(events) do
    local top = e.top_match
    if top and top.similarity and top.similarity >= conf.similarity and (watched[top.external_id] or #conf.external_ids == 0) then
      -- ns.kv keeps its values over reloads, and they expire.
      if conf.quiet == 0 or ns.kv.add("seen " .. top.object_id, true, conf.quiet) then
        batch:add({ event_id = e.event_id, source = e.source, time = e.create_time, person = top.external_id, similarity = top.similarity })
      end
    end
  end
end

function M:start()
  ns.route("GET", "/status", function() return 200, { sent = counts.sent, lost = counts.lost + batch:dropped() } end)
end

return M
