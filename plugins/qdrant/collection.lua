-- The copy of the faces in Qdrant. A point has the id of its face, the descriptor as vector,
-- and the payload {lists, account_id, copy}. copy names the copy of all faces that was the
-- last one when the point was written. Points of earlier copies are deleted.
local ns = require("nearside")

local WAITING = 100000 -- if more faces than this have changed, all faces are copied
local BATCH = 100      -- points per request

local conf
local behind, count = {}, 0 -- the faces that have changed: id -> op; and how many
local due = 0               -- the time of the next copy of all faces
local copy, run, wake       -- the id of the last copy; of this state; a signal that faces have changed
local C = {}

function C.open(settings) conf = settings end

-- call returns the result of a request, or raises an error. Without a collection, it returns
-- nil if missing_ok is true.
local function call(method, path, body, missing_ok)
  local answer, err = ns.http.request(method, conf.url .. "/collections/" .. conf.collection .. path, {
    json = body, headers = { ["api-key"] = conf.api_key ~= "" and conf.api_key or nil }, timeout_ms = conf.timeout_ms,
  })
  if not answer then error(err, 0) end
  if answer.status == 404 then
    if missing_ok then return nil end
    due = 0 -- the collection was deleted
  end
  if answer.status ~= 200 then error(("%s %s: status %d: %s"):format(method, path, answer.status, answer.body), 0) end
  return assert(answer.json()).result
end

-- create makes sure that the collection exists and has vectors of the right kind.
local function create()
  if not call("GET", "", nil, true) then
    call("PUT", "", { vectors = { size = conf.size, distance = "Euclid" } })
    for _, field in ipairs({ "lists", "account_id", "copy" }) do
      call("PUT", "/index?wait=true", { field_name = field, field_schema = "keyword" })
    end
  end
  local vectors = call("GET", "").config.params.vectors
  if vectors.size ~= conf.size or vectors.distance ~= "Euclid" then
    error(("the collection has vectors %s, want size %d and distance Euclid"):format(ns.json.encode(vectors), conf.size), 0)
  end
end

-- vector returns the bytes of a descriptor as numbers.
local function vector(data)
  if #data ~= conf.size then error(("a descriptor has %d bytes, want %d (the setting size)"):format(#data, conf.size), 0) end
  return { data:byte(1, -1) }
end

-- point returns the point of a face, or nil if the face has no descriptor of the version.
local function point(face)
  local d = face.descriptor
  if not d or d.version ~= conf.version then return nil end
  local payload = { lists = ns.json.array(face.lists or {}), account_id = face.account_id, copy = copy }
  return { id = face.face_id, vector = vector(ns.base64.decode(d.data)), payload = payload }
end

-- write stores points, and deletes the points with the ids gone.
local function write(points, gone)
  if #points > 0 then call("PUT", "/points?wait=true", { points = points }) end
  if #gone > 0 then call("POST", "/points/delete?wait=true", { points = gone }) end
end

local function copy_all()
  create()
  copy = ns.uuid()
  local points = {}
  for face in ns.store.faces({ fields = { "lists", "account_id", "descriptor" } }) do
    points[#points + 1] = point(face)
    if #points == BATCH then
      write(points, {})
      points = {}
    end
  end
  write(points, {})
  call("POST", "/points/delete?wait=true", { filter = { must_not = { { key = "copy", match = { value = copy } } } } })
end

-- copy_changed copies up to BATCH faces that have changed.
local function copy_changed()
  local taken, points, gone = {}, {}, {}
  for id, op in pairs(behind) do
    taken[id] = op
    local face = op == "put" and ns.store.get_face(id) -- nil: it was deleted since, which is a change of its own
    local p = face and point(face)
    if p then points[#points + 1] = p elseif face or op ~= "put" then gone[#gone + 1] = id end
    if #points + #gone == BATCH then break end
  end
  for id in pairs(taken) do behind[id], count = nil, count - 1 end
  local ok, err = pcall(write, points, gone)
  if ok then return end
  for id, op in pairs(taken) do
    if not behind[id] then behind[id], count = op, count + 1 end
  end
  error(err, 0)
end

-- update copies what is missing, and then lets Qdrant answer matches.
local function update()
  if ns.monotonic() >= due then
    due = ns.monotonic() + 3600 * conf.hours
    local ok, err = pcall(copy_all)
    if not ok then
      due = 0
      error(err, 0)
    end
  end
  while next(behind) do copy_changed() end
  call("GET", "") -- fails if the collection was deleted; the next update creates it
  if not next(behind) and ns.monotonic() < due then ns.kv.set("in_step", run, 30) end -- expires if this task ends
end

function C.follow()
  run, wake = ns.uuid(), ns.signal()
  ns.kv.set("run", run)
  ns.ready(function()
    local said
    while true do
      local ok, err = pcall(update)
      if not ok and err ~= said then ns.log.warn("the collection is behind, so Qdrant answers no matches", { error = err }) end
      if ok and said then ns.log.info("the collection is in step again") end
      said = not ok and err or nil
      if ok then
        wake:wait(10)
      else
        ns.kv.delete("in_step")
        ns.sleep(5)
      end
    end
  end)
end

-- changed notes changes of faces. Until they are copied, Qdrant answers no matches.
function C.changed(changes)
  ns.kv.delete("in_step")
  for _, change in ipairs(changes) do
    if not behind[change.id] then count = count + 1 end
    behind[change.id] = change.op
  end
  if count > WAITING then behind, count, due = {}, 0, 0 end
  if wake then wake:notify() end
end

-- in_step reports whether Qdrant has all faces as they are, as far as this plugin knows.
function C.in_step()
  local current = ns.kv.get("run")
  return current ~= nil and ns.kv.get("in_step") == current
end

-- nearest returns the limit points that are nearest to the reference, nearest first.
function C.nearest(req, limit)
  local must, filters = ns.json.array({}), req.filters
  local account = req.account_id or filters.account_id
  if filters.list_id then must[#must + 1] = { key = "lists", match = { value = filters.list_id } } end
  if account then must[#must + 1] = { key = "account_id", match = { value = account } } end
  return call("POST", "/points/query", {
    query = vector(req:descriptor()), filter = { must = must }, params = { exact = true }, limit = limit, with_payload = false,
  }).points
end

return C
