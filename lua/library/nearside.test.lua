---@meta nearside.test
-- Generated from the host's modules by: go test ./lua/trial -run TestLibraryFile -update

---The plugin under test. Its methods return when it is at rest, and raise what its hooks raise.
---@class Plugin
local Plugin = {}

---Hands points to handle_event; event is the first that the plugin asks for. This call waits.
---@param points table[]
---@param event? string
function Plugin:emit(points, event) end

---Asks one of the plugin's routes; path is below the plugin's own. A value of query may be a list, for a key that is repeated. account_id goes into the query. This call waits.
---@param method string
---@param path string
---@param options? {query: table?, headers: table?, body: string?, json: any, account_id: string?}
---@return {status: integer, headers: table<string, string>, body: string, json: any}
function Plugin:request(method, path, options) end

---The plugin's cost of a candidate set, which is written as in a request, with the account_id of the request if it has one; nil when it cannot. This call waits.
---@param candidates? table
---@param probe? integer[]
---@param rows? table[]
---@return number?
function Plugin:cost(candidates, probe, rows) end

---What the plugin leaves of rows (see faces, events), in their order; nil and the rejection when it rejects the request. candidates: see cost. This call waits.
---@param rows table[]
---@param candidates? table
---@return table[]?
---@return {status: integer, detail: string}? rejection
function Plugin:prefilter(rows, candidates) end

---The plugin's answer for a probe among rows, checked by the host: rows with distance and similarity; nil when it declines. candidates: see cost. This call waits.
---@param rows table[]
---@param probe integer[]
---@param candidates? table
---@return table[]?
function Plugin:match(rows, probe, candidates) end

---Reloads the plugin, as SIGHUP does. This call waits.
function Plugin:reload() end

---Shuts the plugin down. This call waits.
function Plugin:close() end

---How the plugin is. A test that has failures fails, unless it asks for them here.
---@return {state: string, reason: string, tasks: integer, routes: string[], failures: integer, last_error: string, dropped: integer}
function Plugin:status() end

---A whole number of any size. tostring, .. and the comparisons == < <= > >= work; arithmetic raises an error.
---@class Int64
local Int64 = {}

---@class nearside.test
local test = {}

---Declares a test. Each starts with nothing: no plugin, no requests, an empty Redis.
---@param name string
---@param fn function
function test.case(name, fn) end

---Starts the plugin with these settings and runs it until it is at rest. Raises what would keep it from starting. This call waits.
---@param settings? table
---@return Plugin
function test.start(settings) end

---Fails the test unless both are the same, tables by their contents.
---@param got any
---@param want any
---@param what? string
function test.equal(got, want, what) end

---Fails the test when value is nil or false.
---@param value any
---@param what? string
function test.ok(value, what) end

---Fails the test unless text contains part, as it stands.
---@param text string
---@param part string
---@param what? string
function test.contains(text, part, what) end

---Fails the test unless fn raises an error, one that contains part; returns it. This call waits.
---@param fn function
---@param part? string
---@return string
function test.fails(fn, part) end

---Fills in what faces need: face_id, and a descriptor (a list of up to 16 numbers within 0 and 255; the rest is 0). Their fields are those of POST /1/faces.
---@param rows table[]
---@return table[]
function test.faces(rows) end

---Fills in what events need: event_id, and a face_descriptor if there is no body_descriptor (each a list of up to 16 numbers within 0 and 255; the rest is 0). Their fields are those of POST /1/events.
---@param rows table[]
---@return table[]
function test.events(rows) end

---A figure of ns.metrics, of a histogram the number of values; values are those of its labels, by the names of the labels.
---@param name string
---@param values? string[]
---@return number?
function test.metric(name, values) end

---Says what ns.resource tells of the process from now on.
---@param figures {cpu: number?, rss: integer?, queue: integer?, rows: integer?}
function test.resource(figures) end

---The RabbitMQ of the test. It has no queues at first.
---@class nearside.test.amqp
test.amqp = {}

---Sends a message as somebody else would, and runs the plugin until it is at rest. options are the properties, as of publish. Returns whether a queue took it. The default exchange makes a queue that nobody has declared. This call waits.
---@param exchange string
---@param key string
---@param body string
---@param headers? table
---@param options? table
---@return boolean
function test.amqp.publish(exchange, key, body, headers, options) end

---What the plugin has published.
---@return {exchange: string, key: string, body: string, headers: table}[]
function test.amqp.published() end

---How a queue is: messages that wait, that handlers have acknowledged, and that were rejected or expired without dead letters.
---@param name string
---@return {ready: integer, acked: integer, dropped: integer}?
function test.amqp.queue(name) end

---How many messages of a queue consumers have and have not acknowledged: they are handled, wait for their next attempt, or are stuck.
---@param name string
---@return integer
function test.amqp.unacked(name) end

---The messages that wait in a queue, as a consumer would get them.
---@param name string
---@return table[]
function test.amqp.messages(name) end

---Deletes a queue with its messages, or an exchange with its bindings, as an operator would, and runs the plugin until it is at rest. This call waits.
---@param kind "queue"|"exchange"
---@param name string
function test.amqp.delete(kind, name) end

---Takes the server away: connections are lost, and all that the plugin asks of it fails with reason, until it is called without. This call waits.
---@param reason? string
function test.amqp.down(reason) end

---Base64, in the standard alphabet with padding.
---@class nearside.test.base64
test.base64 = {}

---Encodes bytes as base64.
---@param bytes string
---@return string
function test.base64.encode(bytes) end

---Decodes base64. Returns nil and an error if text is not valid.
---@param text string
---@return string?
---@return string? err
function test.base64.decode(text) end

---The time of the test, which stands still while anything runs.
---@class nearside.test.clock
test.clock = {}

---Lets time pass: timers fire and sleepers wake, in their order, and all that they do is done when it returns. This call waits.
---@param seconds number
function test.clock.advance(seconds) end

---Unix time in seconds, as the plugin's ns.now() gives it.
---@return number
function test.clock.now() end

---Hash functions.
---@class nearside.test.hash
test.hash = {}

---Returns the SHA-256 hash of bytes as 64 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.sha256(bytes) end

---Returns the CRC-32 (IEEE) of bytes as 8 hexadecimal digits.
---@param bytes string
---@return string
function test.hash.crc32(bytes) end

---What ns.http of the plugin reaches.
---@class nearside.test.http
test.http = {}

---Answers the plugin's requests by fn; nil and a text are a failure of the connection. Without it every request fails.
---@param fn fun(request: {method: string, url: string, path: string, host: string, query: table, headers: table<string, string>, body: string, json: any}): {status: integer?, body: string?, json: any, headers: table<string, string|string[]>?}?, string?
function test.http.handle(fn) end

---The requests so far, as http.handle gets them.
---@return table[]
function test.http.requests() end

---Boxed integers: whole numbers beyond 2^53, which Lua numbers cannot hold exactly. tostring gives their digits. They can be compared with each other, and keep their value in JSON, in the store and in kv.
---@class nearside.test.int64
---Returns a boxed integer. value is a text of decimal digits, or a whole number.
---@overload fun(value: string|integer|Int64): Int64
test.int64 = {}

---Returns -1 if a is less than b, 0 if they are equal, and 1 if a is greater. a and b are boxed integers or numbers.
---@param a number|Int64
---@param b number|Int64
---@return integer
function test.int64.compare(a, b) end

---Encodes and decodes JSON.
---@class nearside.test.json
---@field null userdata The value null of JSON.
test.json = {}

---Encodes a value. An empty table becomes {}, unless json.array has marked it or it was decoded from an empty list.
---@param value any
---@return string
function test.json.encode(value) end

---Decodes a text. null becomes json.null. Integers beyond 2^53 become boxed integers (see int64).
---@param text string
---@return any
---@return string? err
function test.json.decode(text) end

---Marks a table, so that it is encoded as a list even if it is empty. Returns the table.
---@param t table
---@return table
function test.json.array(t) end

---Marks a table, so that it is encoded as an object even if it is empty. Returns the table.
---@param t table
---@return table
function test.json.object(t) end

---What the plugin logs.
---@class nearside.test.log
test.log = {}

---The lines so far.
---@return {level: string, message: string, fields: table}[]
function test.log.lines() end

---Regular expressions (RE2).
---@class nearside.test.re
test.re = {}

---Finds the first match and returns the matched text, followed by the texts of the groups. Returns nil if s does not match.
---@param s string
---@param pattern string
---@return string[]?
function test.re.match(s, pattern) end

---Returns the texts of all matches, at most limit (10000).
---@param s string
---@param pattern string
---@param limit? integer
---@return string[]
function test.re.find_all(s, pattern, limit) end

---Replaces all matches with a text, in which $1 and ${name} stand for groups, and returns the result.
---@param s string
---@param pattern string
---@param with string
---@return string
function test.re.replace(s, pattern, with) end

---The Redis of the test: strings, hashes, lists, sets, streams with groups, PUBLISH, EVAL by script. Times to live and idle times follow the clock of the test. It is empty at first.
---@class nearside.test.redis
test.redis = {}

---Runs a command as somebody else would, and the plugin until it is at rest. This call waits.
---@param command string
---@param ... string|number
---@return any
---@return string? err
function test.redis.call(command, ...) end

---The entries that the plugin was given and has not acknowledged.
---@param stream string
---@param group string
---@return string[]
function test.redis.pending(stream, group) end

---Makes all that the plugin asks of it fail with reason, until it is called without.
---@param reason? string
function test.redis.down(reason) end

---Runs the plugin's EVAL: what fn returns is the reply, what it raises the error.
---@param fn fun(script: string, keys: string[], args: string[]): any
function test.redis.script(fn) end

---The store of the test. It is empty at first.
---@class nearside.test.store
test.store = {}

---The objects that are stored, by id, with their descriptors.
---@return table[]
function test.store.faces() end

---The objects that are stored, by id, with their descriptors.
---@return table[]
function test.store.events() end

---Makes all writes fail with reason, until it is called without. After start.
---@param reason? string
function test.store.down(reason) end

return test
