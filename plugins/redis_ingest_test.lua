local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local function face(n)
  return test.json.encode({
    face_id = ("00000000-0000-4000-8000-%012d"):format(n), age = n,
    descriptor = { version = 1, data = test.base64.encode(("x"):rep(16)) },
  })
end
local function add_entry(text) test.redis.call("XADD", "faces", "*", "face", text) end

test.case("stores entries from before and after the start", function()
  add_entry(face(1))
  test.start({ list_id = list })
  add_entry(face(2))
  local faces = test.store.faces()
  test.equal({ #faces, faces[1].age, faces[2].age }, { 2, 1, 2 })
  test.equal(faces[2].lists, { list })
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("sends invalid entries to the dead letters", function()
  test.start({ list_id = list })
  add_entry("{")
  test.redis.call("XADD", "faces", "*", "other", "x")
  test.equal(test.redis.pending("faces", "nearside"), {})
  local letters = test.redis.call("XRANGE", "faces.dead", "-", "+")
  test.equal(#letters, 2)
  test.contains(letters[1][2][2], "json")
end)

test.case("sends a refused face to the dead letters after its last attempt", function()
  test.start({ list_id = list, attempts = 3 })
  add_entry('{"age": 300}')
  add_entry(face(1)) -- does not wait for the first one
  test.equal(#test.store.faces(), 1)
  test.equal(test.redis.call("XLEN", "faces.dead"), 0)
  test.clock.advance(5) -- 1 s and 2 s after the first and the second attempt
  local letters = test.redis.call("XRANGE", "faces.dead", "-", "+")
  test.contains(letters[1][2][2], "attempt 3: age: must be an integer from 0 to 255, got 300")
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("waits while the store is not available, for any time", function()
  test.start({ list_id = list, attempts = 1 })
  test.store.down("the disk is full")
  for n = 1, 3 do add_entry(face(n)) end
  test.clock.advance(3600)
  test.equal(test.redis.call("XLEN", "faces.dead"), 0)
  test.store.down()
  test.clock.advance(20)
  test.equal(#test.store.faces(), 3)
end)

test.case("takes over pending entries of a consumer that has gone", function()
  test.redis.call("XGROUP", "CREATE", "faces", "nearside", "0", "MKSTREAM")
  add_entry(face(1))
  test.redis.call("XREADGROUP", "GROUP", "nearside", "gone", "STREAMS", "faces", ">")
  test.start({ list_id = list })
  test.clock.advance(20)
  test.equal(#test.store.faces(), 0, "the other consumer may still handle it")
  test.clock.advance(15)
  test.equal(#test.store.faces(), 1)
end)

test.case("uses an existing list, and connects when Redis is reachable", function()
  test.redis.down("no route to host")
  local plugin = test.start({ list_id = list })
  plugin:reload()
  test.redis.down()
  add_entry(face(1))
  test.clock.advance(15)
  test.equal(#test.store.faces(), 1)
  test.ok(plugin:status().failures > 0, "the lost connection was reported")
  test.fails(function() test.start() end, "list_id")
end)
