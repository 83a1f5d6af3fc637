local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local function face(n)
  return test.json.encode({
    face_id = ("00000000-0000-4000-8000-%012d"):format(n), age = n,
    descriptor = { version = 1, data = test.base64.encode(("x"):rep(16)) },
  })
end
local function add(text) test.redis.call("XADD", "faces", "*", "face", text) end

test.case("stores what comes", function()
  add(face(1)) -- before the start
  test.start({ list_id = list })
  add(face(2))
  local faces = test.store.faces()
  test.equal({ #faces, faces[1].age, faces[2].age }, { 2, 1, 2 })
  test.equal(faces[2].lists, { list })
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("what is no face becomes a dead letter", function()
  test.start({ list_id = list })
  add("{")
  test.redis.call("XADD", "faces", "*", "other", "x")
  test.equal(test.redis.pending("faces", "nearside"), {})
  local letters = test.redis.call("XRANGE", "faces.dead", "-", "+")
  test.equal(#letters, 2)
  test.contains(letters[1][2][2], "json")
end)

test.case("what cannot be stored becomes one after its last attempt", function()
  test.start({ list_id = list, attempts = 3 })
  add('{"age": 300}')
  add(face(1)) -- is not held up
  test.equal(#test.store.faces(), 1)
  test.equal(test.redis.call("XLEN", "faces.dead"), 0)
  test.clock.advance(5) -- 1 s and 2 s after the first and the second attempt
  local letters = test.redis.call("XRANGE", "faces.dead", "-", "+")
  test.contains(letters[1][2][2], "attempt 3: age: 300")
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("waits while the store is not available, however long", function()
  test.start({ list_id = list, attempts = 1 })
  test.store.down("the disk is full")
  for n = 1, 3 do add(face(n)) end
  test.clock.advance(3600)
  test.equal(test.redis.call("XLEN", "faces.dead"), 0)
  test.store.down()
  test.clock.advance(20)
  test.equal(#test.store.faces(), 3)
end)

test.case("takes over what a consumer left that is gone", function()
  test.redis.call("XGROUP", "CREATE", "faces", "nearside", "0", "MKSTREAM")
  add(face(1))
  test.redis.call("XREADGROUP", "GROUP", "nearside", "gone", "STREAMS", "faces", ">")
  test.start({ list_id = list })
  test.clock.advance(20)
  test.equal(#test.store.faces(), 0, "it may still work on it")
  test.clock.advance(15)
  test.equal(#test.store.faces(), 1)
end)

test.case("an old list is fine, and Redis may come later", function()
  test.redis.down("no route to host")
  local plugin = test.start({ list_id = list })
  plugin:reload()
  test.redis.down()
  add(face(1))
  test.clock.advance(15)
  test.equal(#test.store.faces(), 1)
  test.ok(plugin:status().failures > 0, "the lost connection was reported")
  test.fails(function() test.start() end, "list_id")
end)
