-- redis_ingest: stores faces from a Redis stream and adds them to a list.
--
-- An entry of the stream has a field "face": a face as in POST /1/faces, in JSON.
-- An entry is acknowledged when its face is stored, so no entry is lost. An entry may
-- arrive twice. Give each face a face_id, so that the second one replaces the first.
--
-- While the store is full or not available, the reader pauses. An entry that cannot
-- be stored goes to the stream of dead letters.
local ns = require("nearside")

local M = {
  api = 1, name = "redis_ingest", version = "1.2.0",
  kinds = { "background" },
  required = false, -- the service starts even if Redis is down, and tries again
  permissions = { "redis:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    required = { "list_id" },
    properties = {
      url = { type = "string", default = "redis://127.0.0.1:6379" },
      stream = { type = "string", default = "faces" },
      group = { type = "string", default = "nearside" },
      dead = { type = "string", default = "faces.dead" }, -- stream of entries that cannot be stored
      batch = { type = "integer", minimum = 1, maximum = 1000, default = 250 }, -- entries stored in one transaction
      attempts = { type = "integer", minimum = 1, maximum = 1000, default = 10 },
      list_id = { type = "string" }, -- the list is created if it does not exist
    },
  },
}

local conf, listed

function M:initialize(settings) conf = settings end

-- ensure_list creates the list before the first face is stored. It fails if the store
-- refuses the list, for example because it is full.
local function ensure_list()
  if listed then return true end
  local _, err = ns.store.new_list({ list_id = conf.list_id, user_data = "redis_ingest" })
  listed = not err or err:find("exists already", 1, true) ~= nil
  return listed, err
end

-- store_each stores faces one by one, because one of them was refused. It writes the
-- verdict on each entry.
local function store_each(faces, places, verdicts)
  for i, face in ipairs(faces) do
    local ok, err = ns.store.put_face(face)
    verdicts[places[i]] = ok and "ack" or { "retry", err }
  end
end

-- ingest stores the faces of a batch together, and returns a verdict on each entry.
local function ingest(entries)
  local ok, err = ensure_list()
  if not ok then return "retry", err end
  local verdicts, faces, places = {}, {}, {}
  for i, entry in ipairs(entries) do
    local face, fault = ns.json.decode(entry.fields.face or "")
    if type(face) == "table" then
      face.lists = { conf.list_id }
      faces[#faces + 1], places[#places + 1] = face, i
      verdicts[i] = "ack"
    else
      verdicts[i] = { "dead", fault or "the entry has no face" } -- a retry would not help
    end
  end
  if #faces > 0 and not ns.store.put_faces(faces) then store_each(faces, places, verdicts) end
  return verdicts
end

function M:start()
  local redis = assert(ns.redis.connect(conf.url))
  assert(redis:xreadgroup({ group = conf.group, stream = conf.stream, dead = conf.dead, batch = conf.batch, attempts = conf.attempts }, ingest))
end

return M
