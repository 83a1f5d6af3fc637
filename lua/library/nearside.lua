---@meta nearside
-- Written from the host's modules: go test ./lua/trial -run TestLibraryFile -update

---Values that wait to be flushed together.
---@class Batch
local Batch = {}

---Adds a value. When max values wait, the oldest is dropped and counted.
---@param value any
function Batch:add(value) end

---Waits for a flush in progress, then flushes all values that wait. Returns true, or nil and why a flush failed: its values then wait for the next one. Waits.
---@return boolean?
---@return string? err
function Batch:flush() end

---Tells how many values were dropped.
---@return integer
function Batch:dropped() end

---A decision not to answer a request: return it from prefilter.
---@class Rejection
---@field status integer The HTTP status.
---@field detail string The detail.
local Rejection = {}

---What a matching plugin learns about a candidate set.
---@class Request
---@field origin string faces, events or attributes.
---@field filters table The filters of the set, by their names in requests.
---@field limit integer The most rows that are wanted.
---@field threshold number The least similarity.
---@field order string similarity, create_time_asc or create_time_desc.
---@field targets string[]? The fields that are wanted; nil: all.
---@field descriptor_type string face or body.
---@field version integer The descriptor version of the match.
---@field account_id string? Only objects of this account are visible.
---@field request_id string The id of the HTTP request.
---@field deadline_ms number? Milliseconds that are left.
---@field reference table? In match: type, id and version of the reference.
local Request = {}

---The bytes of the reference's descriptor. Only in match.
---@return string
function Request:descriptor() end

---An immutable selection of rows. Every operation gives a new one.
---@class Set
local Set = {}

---The number of rows.
---@return integer
function Set:len() end

---Keeps the rows whose column compares so with value: = != < <= > >=.
---@param column string
---@param op string
---@param value any
---@return Set
function Set:where(column, op, value) end

---Keeps the rows whose column is at least a and at most b.
---@param column string
---@param a any
---@param b any
---@return Set
function Set:between(column, a, b) end

---Keeps the rows whose column equals one of values.
---@param column string
---@param values any[]
---@return Set
function Set:one_of(column, values) end

---Keeps the rows of these objects.
---@param ids string[]
---@return Set
function Set:ids(ids) end

---Drops the rows of these objects.
---@param ids string[]
---@return Set
function Set:exclude(ids) end

---Keeps the n rows with the largest values of a column of numbers or times.
---@param column string
---@param n integer
---@return Set
function Set:top(column, n) end

---Keeps n rows that seed picks, the same ones for the same seed.
---@param n integer
---@param seed integer
---@return Set
function Set:sample(n, seed) end

---The rows of either set.
---@param other Set
---@return Set
function Set:union(other) end

---The rows of both sets.
---@param other Set
---@return Set
function Set:intersect(other) end

---The rows that the other set has not.
---@param other Set
---@return Set
function Set:minus(other) end

---Keeps the rows for which test, called with the values of the named columns, returns true. It is slow: prefer the others.
---@param test function
---@param ... string
---@return Set
function Set:filter(test, ...) end

---Compares the rows with the reference: the nearest as {id, distance, similarity}, in the order of the request. Only in match. Waits.
---@param limit integer
---@return table[]
function Set:scan(limit) end

---The fields of at most limit rows, in no particular order.
---@param limit integer
---@return table[]
function Set:to_table(limit) end

---A running task.
---@class Task
local Task = {}

---Ends the task: a waiting call in it returns at once.
function Task:cancel() end

---A RabbitMQ client.
---@class AmqpClient
local AmqpClient = {}

---Sends a persistent message, and waits until the server has confirmed it unless confirm is false. With mandatory it fails when no queue took the message; confirm = true sets mandatory unless mandatory is false. expiration is in milliseconds, timestamp in Unix seconds. The message may have been sent also when there is an error. Waits.
---@param exchange string
---@param key string
---@param body string
---@param options? {confirm: boolean?, mandatory: boolean?, headers: table<string, string|number|boolean>?, persistent: boolean?, expiration: (integer|string)?, content_type: string?, content_encoding: string?, message_id: string?, correlation_id: string?, reply_to: string?, timestamp: number?, priority: integer?, type: string?, app_id: string?}
---@return boolean?
---@return string? err
function AmqpClient:publish(exchange, key, body, options) end

---Calls fn for each message of a queue, one after the other. "ack" or true acknowledges it. After "retry", false, nil or an error it comes again, after 1 to 60 seconds or {retry = seconds}, up to attempts (10) times; then, or after "dead", it goes to dead: a queue, or an exchange and key, or true for the x-dead-letter-exchange of a queue that this client has not declared. Without one it stays in the queue. While the store is full or not available (12052, 12050) the consumer pauses, and no attempt is used. A second result is the reason. Waits.
---@param queue string
---@param fn fun(message: {body: string, headers: table<string, any>, exchange: string, key: string, redelivered: boolean, attempt: integer, persistent: boolean, expiration: string?, content_type: string?, content_encoding: string?, message_id: string?, correlation_id: string?, reply_to: string?, timestamp: number?, priority: integer?, type: string?, app_id: string?}): ("ack"|"retry"|"dead"|boolean|{retry: number})?, string?
---@param options? {prefetch: integer?, attempts: integer?, dead: (string|boolean|{exchange: string, key: string?})?}
---@return Task?
---@return string? err
function AmqpClient:consume(queue, fn, options) end

---Makes an exchange (type: direct, fanout, headers, topic) or a queue with bindings, durable unless that is false. The client makes it again when it connects again and when it disappears. While the server cannot be reached it returns true, and makes it later. Waits.
---@param kind "queue"|"exchange"
---@param name string
---@param options? {type: string?, durable: boolean?, auto_delete: boolean?, exclusive: boolean?, arguments: table<string, any>?, bind: {exchange: string, key: string?, arguments: table<string, any>?}[]?}
---@return boolean?
---@return string? err
function AmqpClient:declare(kind, name, options) end

---Ends the client and its consumers. Waits.
function AmqpClient:close() end

---A whole number of any size. tostring(x) is its text; == < <= > >= and .. work, arithmetic does not.
---@class Int64
local Int64 = {}

---A figure that goes up.
---@class Counter
local Counter = {}

---Adds n (1); fails when there are too many sets of label values.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Counter:add(n, labels) end

---A figure that goes up and down.
---@class Gauge
local Gauge = {}

---Sets the figure; fails when there are too many sets of label values.
---@param v number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Gauge:set(v, labels) end

---Adds n (1), which may be below 0; fails when there are too many sets of label values.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Gauge:add(n, labels) end

---Counts of values by size.
---@class Histogram
local Histogram = {}

---Counts a value; fails when there are too many sets of label values.
---@param v number
---@param labels? table<string, string|number>
---@return boolean?
---@return string? err
function Histogram:observe(v, labels) end

---A Redis client. A reply without a value is nil, within a list json.null; an error within a list is {err = text}.
---@class RedisClient
local RedisClient = {}

---Runs a command. Waits.
---@param command string
---@param ... string|number
---@return any
---@return string? err
function RedisClient:call(command, ...) end

---Sends up to 1000 commands at once and returns their replies. Waits.
---@param commands (string|number)[][]
---@return any[]?
---@return string? err
function RedisClient:pipeline(commands) end

---Calls fn for each message of a channel, one after the other, until the task is cancelled. Messages that come while the connection is lost are lost; /1/plugins shows for how long there was none. Waits.
---@param channel string
---@param fn fun(message: string, channel: string)
---@return Task?
---@return string? err
function RedisClient:subscribe(channel, fn) end

---Calls fn for each entry of a stream, or with batch for a list of up to so many. fn returns "ack" or true; "retry", false, nil or an error; "dead"; {retry = seconds}; for a list one of them for all, or a list of them. Retries wait from 1 s to 60 s, attempts (10) in all; then the entry goes to the stream dead, or stays pending. A failure because the store is full or not available uses no attempt. Pending entries of consumers that were silent for claim_ms (30000; 0: never) are taken over. Makes stream and group (from the first entry). An entry may come twice. Waits.
---@param options {group: string, stream: string, consumer: string?, batch: integer?, block_ms: integer?, claim_ms: integer?, attempts: integer?, dead: string?, count: integer?}
---@param fn fun(entry: {id: string, stream: string, fields: table<string, string>, attempt: integer}|table[]): boolean|"ack"|"retry"|"dead"|{retry: number}|table[]|nil, string?
---@return Task?
---@return string? err
function RedisClient:xreadgroup(options, fn) end

---Ends the client and its subscriptions. Waits.
function RedisClient:close() end

---@class nearside
---@field conf table The plugin's settings, defaults filled in: a copy at each use.
---@field name string The plugin's name.
---@field version string The plugin's version.
local ns = {}

---Collects values and calls flush with up to size (100) of them, at the latest after seconds (1). A flush that raises, or returns false, or nil and a reason, is repeated after 1 s, 2 s, ... 60 s; up to max values (10 times size) wait meanwhile. A reload and a shutdown flush what waits.
---@param options {size: integer?, seconds: number?, max: integer?, flush: fun(items: any[]): boolean?, string?}
---@return Batch
function ns.batch(options) end

---Copies the hooks and fields of base that m lacks, and returns m: how a plugin inherits. Metatables of a plugin's table are not read.
---@param base table
---@param m table
---@return table m
function ns.extend(base, m) end

---Makes a random id (UUID version 4).
---@return string
function ns.uuid() end

---Makes a rejection for prefilter to return, or to raise by error: the request is answered with this status (400 to 499), error code 12057 and the detail.
---@param status integer
---@param detail string
---@return Rejection
function ns.reject(status, detail) end

---Tells how the process is: cpu (seconds of processor time since the start), rss and heap (bytes), goroutines, uptime (seconds), queue (sub-requests that wait for a worker), workers (of matching), rows (objects stored).
---@return {cpu: number, rss: integer, heap: integer, goroutines: integer, uptime: number, queue: integer, workers: integer, rows: integer}
function ns.resource() end

---Serves /plugins/<name><path> by fn({method, path, query, query_all, headers, body}), which returns status, body (a table is sent as JSON), headers.
---@param method string
---@param path string
---@param fn fun(req: table): (integer, any, table?)
function ns.route(method, path, fn) end

---Runs fn(...) as a task: it starts when the caller waits or ends.
---@param fn function
---@param ... any
---@return Task?
---@return string? err
function ns.spawn(fn, ...) end

---Calls fn again and again, the first time after seconds; a call that is late is not made up for.
---@param seconds number
---@param fn function
---@return Task?
---@return string? err
function ns.every(seconds, fn) end

---Runs fn() as a task once the server listens: after a reload when the new plugins have taken over.
---@param fn function
function ns.ready(fn) end

---Waits; 0 lets others run. Waits.
---@param seconds number
function ns.sleep(seconds) end

---Unix time in seconds.
---@return number
function ns.now() end

---Seconds since the host's start; never goes back.
---@return number
function ns.monotonic() end

---RabbitMQ (AMQP 0-9-1).
---@class nearside.amqp
ns.amqp = {}

---Makes a client of amqp://[user:password@]host[:port][/vhost], or amqps:// for TLS. The client connects by itself, also when the server is down now, and connects again when the connection is lost.
---@param url string
---@param options? {timeout_ms: number?}
---@return AmqpClient?
---@return string? err
function ns.amqp.connect(url, options) end

---Base64.
---@class nearside.base64
ns.base64 = {}

---Encodes bytes.
---@param bytes string
---@return string
function ns.base64.encode(bytes) end

---Decodes text.
---@param text string
---@return string?
---@return string? err
function ns.base64.decode(text) end

---Hashes.
---@class nearside.hash
ns.hash = {}

---SHA-256, as 64 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.sha256(bytes) end

---CRC-32 (IEEE), as 8 hexadecimal digits.
---@param bytes string
---@return string
function ns.hash.crc32(bytes) end

---HTTP and HTTPS. Names of response headers are in lower case.
---@class nearside.http
ns.http = {}

---Makes a request; any status is a result. json is sent as the body. Redirects are followed as far as the permissions go. Waits.
---@param method string
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.request(method, url, options) end

---Makes a GET request. Waits.
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.get(url, options) end

---Makes a POST request. Waits.
---@param url string
---@param options? {body: string?, headers: table<string, string>?, query: table<string, string|number|boolean>?, timeout_ms: number?, json: any}
---@return {status: integer, headers: table<string, string>, body: string, json: fun(): any, string?}?
---@return string? err
function ns.http.post(url, options) end

---Whole numbers beyond 2^53, which Lua numbers cannot hold exactly. They print as numbers, compare with each other, and stay exact in JSON, in the store and in kv.
---@class nearside.int64
---Makes a boxed integer of decimal digits or of a whole number.
---@overload fun(value: string|integer|Int64): Int64
ns.int64 = {}

---Returns -1, 0 or 1: a is less than b, equal, or greater. Takes boxed integers and numbers.
---@param a number|Int64
---@param b number|Int64
---@return integer
function ns.int64.compare(a, b) end

---JSON.
---@class nearside.json
---@field null userdata JSON's null.
ns.json = {}

---Writes a value as JSON; an empty table is {} unless json.array marked it, or it came as an empty list.
---@param value any
---@return string
function ns.json.encode(value) end

---Reads JSON; null becomes json.null, integers beyond 2^53 boxed ones (see int64).
---@param text string
---@return any
---@return string? err
function ns.json.decode(text) end

---Marks a table to be written as [], also when it is empty.
---@param t table
---@return table
function ns.json.array(t) end

---Marks a table to be written as {}, also when it is empty.
---@param t table
---@return table
function ns.json.object(t) end

---Values that all instances of the plugin share, kept over reloads.
---@class nearside.kv
ns.kv = {}

---Reads a value: a copy; nil when there is none.
---@param key string
---@return any
function ns.kv.get(key) end

---Stores a value (nil removes it), for ever or for ttl_seconds.
---@param key string
---@param value any
---@param ttl_seconds? number
---@return boolean?
---@return string? err
function ns.kv.set(key, value, ttl_seconds) end

---Stores a value unless the key exists; tells whether it did.
---@param key string
---@param value any
---@param ttl_seconds? number
---@return boolean?
---@return string? err
function ns.kv.add(key, value, ttl_seconds) end

---Adds n (1) to a number (0 when missing) and returns it; the key keeps its time to live.
---@param key string
---@param n? number
---@return number?
---@return string? err
function ns.kv.incr(key, n) end

---Replaces old (nil: no value) by new (nil: removes) and returns whether it did. old must not be a table.
---@param key string
---@param old any
---@param new any
---@return boolean?
---@return string? err
function ns.kv.cas(key, old, new) end

---Removes a key and tells whether it existed.
---@param key string
---@return boolean
function ns.kv.delete(key) end

---Lists keys in order, at most limit (10000).
---@param prefix? string
---@param limit? integer
---@return string[]
function ns.kv.keys(prefix, limit) end

---Messages in the host's log.
---@class nearside.log
ns.log = {}

---Logs a message of level debug.
---@param message string
---@param fields? table<string, any>
function ns.log.debug(message, fields) end

---Logs a message of level info.
---@param message string
---@param fields? table<string, any>
function ns.log.info(message, fields) end

---Logs a message of level warn.
---@param message string
---@param fields? table<string, any>
function ns.log.warn(message, fields) end

---Logs a message of level error.
---@param message string
---@param fields? table<string, any>
function ns.log.error(message, fields) end

---Figures on /metrics, as nearside_plugin_<name> with the label plugin; kept over a reload that declares them alike. The name of a counter ends with _total, which is added when it is missing.
---@class nearside.metrics
ns.metrics = {}

---Declares a figure that goes up; labels are the names of those that each add gives.
---@param name string
---@param help string
---@param labels? string[]
---@return Counter
function ns.metrics.counter(name, help, labels) end

---Declares a figure that goes up and down; labels are the names of those that each call gives.
---@param name string
---@param help string
---@param labels? string[]
---@return Gauge
function ns.metrics.gauge(name, help, labels) end

---Declares counts of values by size; labels are names, buckets upper bounds (those of durations in seconds).
---@param name string
---@param help string
---@param labels? string[]
---@param buckets? number[]
---@return Histogram
function ns.metrics.histogram(name, help, labels, buckets) end

---Regular expressions (RE2).
---@class nearside.re
ns.re = {}

---Finds the first match: the whole of it, then the groups; nil when there is none.
---@param s string
---@param pattern string
---@return string[]?
function ns.re.match(s, pattern) end

---Finds all matches, at most limit (10000).
---@param s string
---@param pattern string
---@param limit? integer
---@return string[]
function ns.re.find_all(s, pattern, limit) end

---Replaces all matches; $1 or ${name} stand for groups.
---@param s string
---@param pattern string
---@param with string
---@return string
function ns.re.replace(s, pattern, with) end

---Redis.
---@class nearside.redis
ns.redis = {}

---Makes a client of redis://[user:password@]host[:port][/db], or rediss:// for TLS. It connects by itself, and again: a server that is down makes calls fail, not connect. With ?master_name=name the hosts are Sentinels, with ?cluster=true nodes of a cluster; &addr=host:port names further ones. Waits.
---@param url string
---@param options? {timeout_ms: number?}
---@return RedisClient?
---@return string? err
function ns.redis.connect(url, options) end

---Stored objects, as tables like the API's JSON; descriptor data is base64, texts of errors count from 0. Needs the permission "store".
---@class nearside.store
ns.store = {}

---Stores an object, new or in place of the one with its id, and returns the id; id and create_time are made when absent. Waits.
---@param face table
---@return string? id
---@return string? err
function ns.store.put_face(face) end

---Stores up to 1000 objects at once, all or none, and returns their ids. Waits.
---@param faces table[]
---@return string[]? ids
---@return string? err
function ns.store.put_faces(faces) end

---Reads an object, with its descriptors.
---@param id string
---@return table?
---@return string? err
function ns.store.get_face(id) end

---Removes an object; fails when there is none. Waits.
---@param id string
---@return boolean?
---@return string? err
function ns.store.delete_face(id) end

---Stores an object, new or in place of the one with its id, and returns the id; id and create_time are made when absent. Waits.
---@param event table
---@return string? id
---@return string? err
function ns.store.put_event(event) end

---Stores up to 1000 objects at once, all or none, and returns their ids. Waits.
---@param events table[]
---@return string[]? ids
---@return string? err
function ns.store.put_events(events) end

---Reads an object, with its descriptors.
---@param id string
---@return table?
---@return string? err
function ns.store.get_event(id) end

---Removes an object; fails when there is none. Waits.
---@param id string
---@return boolean?
---@return string? err
function ns.store.delete_event(id) end

---Puts faces into a list, all or none. Waits.
---@param list_id string
---@param face_ids string[]
---@return boolean?
---@return string? err
function ns.store.attach(list_id, face_ids) end

---Takes faces out of a list, all or none. Waits.
---@param list_id string
---@param face_ids string[]
---@return boolean?
---@return string? err
function ns.store.detach(list_id, face_ids) end

---Makes a list and returns its id; fails when there is one already. Waits.
---@param list? {list_id: string?, account_id: string?, user_data: string?}
---@return string? id
---@return string? err
function ns.store.new_list(list) end

return ns
