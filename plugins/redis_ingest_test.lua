local test = require("nearside.test")

local list = "11111111-0000-4000-8000-000000000000"
local function face(n)
  return test.json.encode({
    face_id = ("00000000-0000-4000-8000-%012d"):format(n), age = n,
    descriptor = { version = 1, data = test.base64.encode(("x"):rep(16)) },
  })
end

test.case("stores what comes", function()
  test.redis.call("XADD", "faces", "*", "face", face(1)) -- before the start
  test.start({ list_id = list })
  test.redis.call("XADD", "faces", "*", "face", face(2))
  local faces = test.store.faces()
  test.equal({ #faces, faces[1].age, faces[2].age }, { 2, 1, 2 })
  test.equal(faces[2].lists, { list })
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("drops what is no face", function()
  test.start({ list_id = list })
  test.redis.call("XADD", "faces", "*", "face", "{")
  test.redis.call("XADD", "faces", "*", "other", "x")
  test.equal(#test.log.lines(), 2)
  test.equal(test.redis.pending("faces", "nearside"), {})
end)

test.case("keeps what cannot be stored", function()
  test.start({ list_id = list })
  test.redis.call("XADD", "faces", "*", "face", '{"age": 300}')
  test.equal(#test.redis.pending("faces", "nearside"), 1)
  test.contains(test.log.lines()[1].fields.reason, "age: 300")
end)

test.case("waits while the store is full", function()
  test.start({ list_id = list })
  test.store.down("limits.memory: 1 GiB are used")
  test.redis.call("XADD", "faces", "*", "face", face(1))
  test.clock.advance(3)
  test.store.down()
  test.clock.advance(4)
  test.equal(#test.store.faces(), 1)
end)

test.case("an old list is fine, and Redis may come later", function()
  local plugin = test.start({ list_id = list })
  plugin:reload()
  test.redis.down("no route to host")
  plugin:reload()
  test.redis.down()
  test.clock.advance(90)
  test.equal(plugin:status().state, "running")
  test.fails(function() test.start() end, "list_id")
end)
