local test = require("nearside.test")

local account = "33333333-0000-4000-8000-000000000000"

local function begin()
  local plugin = test.start()
  test.store.put_face({ external_id = "anna b" })
  test.store.put_face({ external_id = "anna b", account_id = account })
  test.store.put_face({ external_id = "carl" })
  return plugin
end

test.case("returns the faces of a person", function()
  local plugin = begin()
  local answer = plugin:request("GET", "/persons/anna%20b", { role = "read" })
  test.equal({ answer.status, answer.json.person, #answer.json.faces }, { 200, "anna b", 2 })
  test.equal(#plugin:request("GET", "/persons/anna%20b", { account_id = account }).json.faces, 1)
  test.equal(plugin:request("GET", "/persons/nobody").status, 404)
end)

test.case("shows a key only what it may see", function()
  local plugin = begin()
  local function get(bound, other)
    return plugin:request("GET", "/persons/anna%20b", { role = "read", bound = bound, query = { account_id = other } })
  end
  test.equal(#get({ account_id = account }).json.faces, 1)
  test.equal(get({ account_id = "44444444-0000-4000-8000-000000000000" }, account).status, 404)
  test.equal(get({ lists = { "11111111-0000-4000-8000-000000000000" } }).status, 403)
  test.equal(plugin:request("DELETE", "/persons/carl", { bound = { lists = {} } }).status, 403)
  test.equal(plugin:request("DELETE", "/persons/carl", { bound = { account_id = account } }).json, { deleted = 0 })
end)

test.case("deletes a person, for keys that may write", function()
  local plugin = begin()
  test.fails(function() plugin:request("DELETE", "/persons/carl", { role = "read" }) end, "role")
  test.equal(plugin:request("DELETE", "/persons/carl", { role = "write", key = "hr" }).json, { deleted = 1 })
  test.equal(#test.store.faces(), 2)
  test.equal(test.log.lines()[1].fields, { person = "carl", faces = 1, key = "hr" })
  test.equal(plugin:request("DELETE", "/persons/anna%20b", { account_id = account }).json, { deleted = 1 })
  test.equal(#test.store.faces(), 1)
  test.store.down("the disk is full")
  test.equal(plugin:request("DELETE", "/persons/anna%20b").status, 503)
end)
