-- redis_ingest: faces from a Redis stream into a list.
--
-- An entry of the stream has a field "face": a face as in POST /1/faces, as
-- JSON. Entries are acknowledged when they are stored, so that none is lost;
-- one may come twice, and then replaces itself: give faces a face_id.
--
-- While the store is full or not available, the reader pauses. An entry that
-- cannot be stored goes to the stream of dead letters.
local ns = require("nearside")

local M = {
  api = 1, name = "redis_ingest", version = "1.1.0",
  kinds = { "background" },
  required = false, -- the service starts without its peer, and tries again
  permissions = { "redis:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    required = { "list_id" },
    properties = {
      url = { type = "string", default = "redis://127.0.0.1:6379" },
      stream = { type = "string", default = "faces" },
      group = { type = "string", default = "nearside" },
      dead = { type = "string", default = "faces.dead" }, -- stream of entries that cannot be stored
      attempts = { type = "integer", minimum = 1, maximum = 1000, default = 10 },
      list_id = { type = "string" }, -- is made when there is none
    },
  },
}

local conf, listed

function M:initialize(settings) conf = settings end

-- has_list makes the list before the first face. The store may be full then.
local function has_list()
  if listed then return true end
  local _, err = ns.store.new_list({ list_id = conf.list_id, user_data = "redis_ingest" })
  listed = not err or err:find("exists already", 1, true) ~= nil
  return listed, err
end

local function ingest(entry)
  local face, err = ns.json.decode(entry.fields.face or "")
  if type(face) ~= "table" then return "dead", err or "the entry has no face" end -- no retry would help
  local ok
  ok, err = has_list()
  if not ok then return "retry", err end
  face.lists = { conf.list_id }
  ok, err = ns.store.put_face(face)
  if not ok then return "retry", err end
  return "ack"
end

function M:start()
  local redis = assert(ns.redis.connect(conf.url))
  assert(redis:xreadgroup({ group = conf.group, stream = conf.stream, dead = conf.dead, attempts = conf.attempts }, ingest))
end

return M
