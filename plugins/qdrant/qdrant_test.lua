local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local account = "22222222-0000-4000-8000-000000000000"

-- A collection of Qdrant in memory: the operations that the plugin uses. Scores have six
-- digits. Among points of equal scores, those that were written last come first.
local function new_qdrant()
  local q = { points = {}, order = {}, asked = {}, writes = 0 }
  local function has(value, wanted)
    if type(value) ~= "table" then return value == wanted end
    for _, v in ipairs(value) do if v == wanted then return true end end
    return false
  end
  local function passes(p, filter)
    for _, c in ipairs(filter.must or {}) do if not has(p.payload[c.key], c.match.value) then return false end end
    for _, c in ipairs(filter.must_not or {}) do if has(p.payload[c.key], c.match.value) then return false end end
    return true
  end
  local function score(a, b)
    local sum = 0
    for i = 1, #a do sum = sum + (a[i] - b[i]) ^ 2 end
    return tonumber(("%.6g"):format(math.sqrt(sum)))
  end
  local operations = {
    ["GET "] = function() return { config = { params = { vectors = q.vectors } } } end,
    ["PUT "] = function(body) q.vectors = body.vectors return true end,
    ["PUT /index"] = function() return {} end,
    ["PUT /points"] = function(body)
      q.writes = q.writes + 1
      for _, p in ipairs(body.points) do
        assert(#p.vector == q.vectors.size)
        q.points[p.id] = p
        table.insert(q.order, 1, p.id)
      end
      return { status = "completed" }
    end,
    ["POST /points/delete"] = function(body)
      for _, id in ipairs(body.points or {}) do q.points[id] = nil end
      for id, p in pairs(q.points) do if body.filter and passes(p, body.filter) then q.points[id] = nil end end
      return { status = "completed" }
    end,
    ["POST /points/query"] = function(body)
      assert(body.params.exact == true)
      q.asked[#q.asked + 1] = body.limit
      q.must = body.filter.must
      local found, seen = {}, {}
      for _, id in ipairs(q.order) do
        local p = q.points[id]
        if p and not seen[id] and passes(p, body.filter) then found[#found + 1] = { id = id, version = 1, score = score(p.vector, body.query), rank = #found } end
        seen[id] = true
      end
      table.sort(found, function(a, b) if a.score ~= b.score then return a.score < b.score end return a.rank < b.rank end)
      for i = #found, body.limit + 1, -1 do found[i] = nil end
      return { points = test.json.array(found) }
    end,
  }
  test.http.handle(function(request)
    if q.down then return nil, "connection refused" end
    local run = operations[request.method .. " " .. request.path:gsub("^/collections/nearside", "")]
    if not run then return { status = 400, body = request.method .. " " .. request.path } end
    if not q.vectors and request.path:sub(-9) ~= "/nearside" or not q.vectors and request.method == "GET" then
      return { status = 404, json = { status = { error = "Not found: Collection `nearside` doesn't exist!" } } }
    end
    q.key = request.headers["api-key"]
    return { status = 200, json = { result = run(request.json), status = "ok", time = 0.001 } }
  end)
  return q
end

-- begin starts the plugin, stores faces, and returns the plugin and the faces as rows of a match.
local function begin(faces, more)
  local given = { version = 1, size = 16 }
  for name, value in pairs(more or {}) do given[name] = value end
  local plugin, rows, lists = test.start(given), test.faces(faces), {}
  for _, row in ipairs(rows) do
    for _, id in ipairs(row.lists or {}) do lists[id] = lists[id] or test.store.put_list({ list_id = id }) end
    test.store.put_face(row)
  end
  test.clock.advance(1)
  return plugin, rows
end

local function names(found)
  local parts = {}
  for i, row in ipairs(found) do parts[i] = row.external_id .. "=" .. row.distance end
  return table.concat(parts, " ")
end

local function four()
  return {
    { external_id = "far", descriptor = { 9 } }, { external_id = "a", descriptor = { 1 }, lists = { list } },
    { external_id = "b", descriptor = { 3 }, lists = { list } }, { external_id = "mine", descriptor = { 1, 0, 1 }, account_id = account },
  }
end

test.case("answers with the nearest faces and their distances", function()
  local q = new_qdrant()
  local plugin = begin({})
  test.equal(plugin:cost(), 50, "an empty collection is in step")
  plugin:close()
  local rows
  plugin, rows = begin(four(), { api_key = "secret" })
  test.equal(q.vectors, { size = 16, distance = "Euclid" })
  test.equal({ plugin:cost(), plugin:cost({ filters = { list_id = list } }) }, { 50, 50 })
  test.equal(names(plugin:match(rows, { 0 })), "a=1 mine=2 b=9 far=81")
  test.equal(names(plugin:match(rows, { 0 }, { limit = 2 })), "a=1 mine=2")
  test.equal(q.must, {})
  test.equal(names(plugin:match(rows, { 0 }, { filters = { list_id = list } })), "a=1 b=9")
  test.equal(q.must, { { key = "lists", match = { value = list } } })
  test.equal(names(plugin:match(rows, { 0 }, { account_id = account })), "mine=2")
  test.equal(q.must, { { key = "account_id", match = { value = account } } })
  test.equal(names(plugin:match(rows, { 0 }, { filters = { account_id = account } })), "mine=2")
  test.equal({ q.key, q.asked[1], q.asked[2] }, { "secret", 21, 18 })
end)

test.case("has no cost for other requests", function()
  new_qdrant()
  local plugin = begin(four(), { most = 100 })
  test.equal({ plugin:cost({ limit = 99 }), plugin:cost({ limit = 100 }) }, { 50 })
  test.equal(plugin:cost({ filters = { age__gte = 18 } }), nil)
  plugin:close()
  test.equal(begin({}, { version = 2 }):cost(), nil)
end)

test.case("returns ties in the order of the local matcher", function()
  local q, same = new_qdrant(), {}
  for i = 1, 60 do same[i] = { external_id = tostring(i), descriptor = { 5 } } end
  same[61] = { external_id = "near", descriptor = { 4 } }
  local plugin, rows = begin(same)
  test.equal(names(plugin:match(rows, { 0 }, { limit = 4 })), "near=16 1=25 2=25 3=25")
  test.equal(q.asked, { 20, 80 })
  test.equal(#plugin:match(rows, { 5 }, { limit = 60 }), 60)
end)

test.case("declines if the answer needs too many points", function()
  local q, same = new_qdrant(), {}
  for i = 1, 60 do same[i] = { external_id = tostring(i), descriptor = { 5 } } end
  local plugin, rows = begin(same, { most = 50 })
  test.equal(plugin:match(rows, { 0 }, { limit = 3 }), nil)
  test.equal(q.asked, { 19, 50 })
end)

test.case("follows changes, and has no cost while it is behind", function()
  local q = new_qdrant()
  local plugin, rows = begin(four())
  q.down = true
  test.store.delete_face(rows[1].face_id)
  rows[2].descriptor = { 7 }
  test.store.put_face(rows[2])
  test.clock.advance(60)
  test.equal(plugin:cost(), nil)
  test.equal(q.points[rows[2].face_id].vector[1], 1)
  q.down = nil
  test.clock.advance(5)
  test.equal(plugin:cost(), 50)
  test.equal(q.points[rows[1].face_id], nil)
  test.equal(q.points[rows[2].face_id].vector[1], 7)
  local lines = test.log.lines()
  test.contains(lines[1].fields.error, "connection refused")
  test.equal(lines[#lines].message, "the collection is in step again")
end)

test.case("copies all faces at the start, and deletes other points", function()
  local q = new_qdrant()
  local plugin, rows = begin(four())
  plugin:close()
  q.points["33333333-0000-4000-8000-000000000000"] = { id = "33333333-0000-4000-8000-000000000000", vector = rows[1].descriptor, payload = { lists = {} } }
  q.points[rows[3].face_id] = nil
  plugin = test.start({ version = 1, size = 16 })
  test.clock.advance(1)
  test.equal(names(plugin:match(rows, { 0 })), "a=1 mine=2 b=9 far=81")
  test.equal(q.points["33333333-0000-4000-8000-000000000000"], nil)
  plugin:reload()
  test.clock.advance(1)
  test.equal(plugin:cost(), 50)
end)

test.case("creates a collection that was deleted", function()
  local q = new_qdrant()
  local plugin, rows = begin(four())
  q.vectors, q.points = nil, {}
  test.clock.advance(20)
  test.equal(plugin:cost(), 50)
  test.equal(names(plugin:match(rows, { 0 })), "a=1 mine=2 b=9 far=81")
end)

test.case("does not use a collection of another kind", function()
  local q = new_qdrant()
  q.vectors = { size = 16, distance = "Cosine" }
  local plugin = begin(four())
  test.equal(plugin:cost(), nil)
  test.contains(test.log.lines()[1].fields.error, "want size 16 and distance Euclid")
end)

test.case("does not copy descriptors of another size", function()
  new_qdrant()
  local plugin = begin(four(), { size = 15 })
  test.equal(plugin:cost(), nil)
  test.contains(test.log.lines()[1].fields.error, "a descriptor has 16 bytes, want 15 (the setting size)")
end)
