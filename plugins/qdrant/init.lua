-- qdrant: lets a Qdrant collection answer matches of faces, over its REST interface.
--
-- Qdrant returns the ids of the nearest faces, by an exact search. The host compares
-- these faces again. So ids, distances, order and ties are those of the local matcher.
-- collection.lua keeps the collection in step with the store. While it is behind, this
-- plugin offers no cost, and the local matcher answers.
--
-- It is for one version of descriptors, which must be bytes (uint8). A match may miss a
-- change that is a few milliseconds old.
local ns = require("nearside")
local collection = require("./collection")

local M = {
  api = 1, name = "qdrant", version = "1.0.0",
  kinds = { "matching", "event", "background" },
  events = { "face_event" },
  matching = { origins = { "faces" }, descriptors = { "face" }, orders = { "similarity" } },
  permissions = { "http:*", "store" }, -- the address is a setting
  schema = {
    type = "object", additionalProperties = false,
    properties = {
      url = { type = "string", default = "http://127.0.0.1:6333" },
      collection = { type = "string", pattern = "^[A-Za-z0-9_-]+$", default = "nearside" },  -- it is created
      api_key = { type = "string", default = "" },
      version = { type = "integer", minimum = 1, default = 59 },                      -- of the descriptors
      size = { type = "integer", minimum = 1, maximum = 4096, default = 512 },        -- bytes of a descriptor
      cost = { type = "number", default = 50 },                                       -- the local matcher's is 100
      most = { type = "integer", minimum = 1, maximum = 100000, default = 10000 },    -- points of one answer of Qdrant
      timeout_ms = { type = "integer", minimum = 1, maximum = 300000, default = 5000 },
      hours = { type = "number", exclusiveMinimum = 0, default = 24 },                -- between two copies of all faces
    },
  },
}

-- Qdrant computes scores in single precision. Two scores whose ratio is closer to 1 than this
-- may be in the wrong order: it is twice the error of a sum of 4,096 squares and its root.
local PRECISION = 3e-4

local conf

function M:initialize(settings)
  conf = settings
  collection.open(settings)
end

function M:cost(req)
  if req.version ~= conf.version or req.limit >= conf.most or not collection.in_step() then return nil end
  for name in pairs(req.filters) do
    if name ~= "list_id" and name ~= "account_id" then return nil end
  end
  return conf.cost
end

-- certain returns the ids of the points that are nearer than every face that Qdrant has
-- not returned. If it was asked for more points than it has, these are all points.
local function certain(points, asked)
  local ids, bound = {}, math.huge
  if #points == asked then bound = points[asked].score * (1 - PRECISION) end
  for _, p in ipairs(points) do
    if p.score < bound then ids[#ids + 1] = p.id end
  end
  return ids
end

-- match returns all faces that may be in the answer. If these are too few, it asks for more
-- points: another plugin's prefilter may have removed faces, or many have the same score.
-- It declines if more than conf.most points would be needed.
function M:match(req, set)
  local wanted = math.min(req.limit, #set)
  local asked = math.min(req.limit + 16, conf.most)
  while true do
    local points = collection.nearest(req, asked)
    local ids = certain(points, asked)
    if #points < asked or #set:ids(ids) >= wanted then
      for i, id in ipairs(ids) do ids[i] = { id = id } end
      return ids
    end
    if asked == conf.most then return nil end
    asked = math.min(4 * asked, conf.most)
  end
end

function M:handle_event(changes) collection.changed(changes) end

function M:start() collection.follow() end

return M
