-- signed_webhook: sends stored events to a webhook, with a signature that the receiver checks.
--
-- X-Signature is the HMAC-SHA256, in hexadecimal digits, of X-Timestamp, a dot and the body.
-- The receiver refuses old timestamps, so that nobody can send a captured request again.
local ns = require("nearside")

local M = {
  api = 1, name = "signed_webhook", version = "1.0.0",
  kinds = { "event" },
  events = { "sending_event" },
  permissions = { "http:hooks.example.com" },
  schema = {
    type = "object", additionalProperties = false,
    required = { "secret" },
    properties = {
      url = { type = "string", default = "https://hooks.example.com/events" },
      secret = { type = "string", minLength = 16 },
    },
  },
}

local conf, batch

local function send(events)
  local body = ns.json.encode({ events = events })
  local time = ("%d"):format(ns.now()) -- of this attempt: a repeated request has a new signature
  local answer, err = ns.http.post(conf.url, {
    body = body,
    headers = {
      ["Content-Type"] = "application/json", ["X-Timestamp"] = time,
      ["X-Signature"] = ns.hash.hmac("sha256", conf.secret, time .. "." .. body),
    },
  })
  if not answer then return false, err end -- the same events come again
  if answer.status >= 500 or answer.status == 429 then return false, "status " .. answer.status end
  if answer.status >= 300 then ns.log.warn("events were refused", { count = #events, status = answer.status }) end
end

function M:initialize(settings)
  conf = settings
  batch = ns.batch({ size = 50, seconds = 1, max = 10000, flush = send })
end

function M:handle_event(events)
  for _, e in ipairs(events) do batch:add({ id = e.event_id, source = e.source, time = e.create_time }) end
end

return M
