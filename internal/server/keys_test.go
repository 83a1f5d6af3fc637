package server_test

import (
	"maps"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"nearside/internal/access"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// keyring has the keys of a test.
type keyring struct {
	access.Config
	secrets map[string]string // by name
}

// add adds a key, and returns it.
func (r *keyring) add(k access.Key) string {
	if r.secrets == nil {
		r.secrets = map[string]string{}
	}
	secret := access.NewKey()
	k.SHA256 = access.HashKey(secret)
	r.Keys = append(r.Keys, k)
	r.secrets[k.Name] = secret
	return secret
}

// roleNames are the roles from low to high.
var roleNames = []string{"match", "read", "write", "admin"}

// newKeyring returns a key for each role, and an expired one.
func newKeyring() *keyring {
	r := &keyring{Config: access.Config{Open: []string{"livez", "readyz", "version"}}}
	for _, role := range access.Roles {
		r.add(access.Key{Name: role.String(), Roles: []access.Role{role}})
	}
	r.add(access.Key{Name: "expired", Roles: []access.Role{access.Admin}, Expires: time.Now().Add(-time.Second)})
	return r
}

// startWithKeys starts a server that requires keys. Requests of the test have the key admin.
func startWithKeys(t testing.TB, r *keyring, change ...func(*settings)) *service {
	t.Helper()
	x := start(t, append(change, func(s *settings) { s.access = r.Config })...)
	x.key = r.secrets["admin"]
	return x
}

// operationsOf returns all operations of the document, with the role that each needs, "" for
// none.
func operationsOf(doc *openapi3.T) map[string]string {
	all := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			role, _ := op.Extensions["x-role"].(string)
			all[method+" "+path] = role
		}
	}
	return all
}

var pathID = regexp.MustCompile(`\{[a-z_]+\}`)

// TestKeysOfOperations calls each operation of the document without a key, with wrong and
// expired keys, and with a key of each role.
func TestKeysOfOperations(t *testing.T) {
	r := newKeyring()
	r.Open = nil
	x := startWithKeys(t, r)
	operations := operationsOf(x.spec.doc)
	if len(operations) < 40 {
		t.Fatalf("only %d operations", len(operations))
	}
	for _, route := range []string{"GET /new", "POST /livez", "TRACE /1/faces"} { // unknown resources and methods need a key of any role
		operations[route] = "none"
	}
	for _, route := range slices.Sorted(maps.Keys(operations)) {
		method, path, _ := strings.Cut(route, " ")
		url, needed := pathID.ReplaceAllString(path, id(1)), operations[route]
		call := func(headers ...string) *answer {
			key := x.key
			x.key = ""
			defer func() { x.key = key }()
			return x.call(method, url, "{}", headers...)
		}
		if needed == "" {
			call().status(200)
			call("X-Api-Key", "wrong").status(200)
			continue
		}
		call().fault(12025, "the request needs a key")
		call("X-Api-Key", "").fault(12025)
		call("X-Api-Key", access.NewKey()).fault(12025, "unknown").lacks("ns_")
		call("X-Api-Key", r.secrets["expired"]).fault(12025, "expired")
		call("Authorization", "Bearer "+access.NewKey()).fault(12025, "unknown")
		call("Authorization", "Bearer").fault(12025)
		call("Authorization", "Basic "+r.secrets["admin"]).fault(12025, "Bearer")
		call("Authorization", r.secrets["admin"]).fault(12025, "Bearer")
		call("Authorization", "Bearer "+r.secrets["admin"]+"x").fault(12025)
		call("Authorization", "Bearer "+r.secrets["match"], "X-Api-Key", r.secrets["admin"]).fault(12025, "different keys")
		for i, role := range roleNames {
			for _, header := range [][]string{{"X-Api-Key", r.secrets[role]}, {"Authorization", "bearer  " + r.secrets[role]}} {
				got := call(header...)
				allowed := needed == "none" || i >= slices.Index(roleNames, needed)
				switch status := got.response.StatusCode; {
				case status == http.StatusUnauthorized:
					t.Errorf("%s as %s: %s", route, role, got.body)
				case !allowed:
					got.fault(12026, "key "+role, "needs the role "+needed, "has the role "+role)
				case strings.Contains(string(got.body), "needs the role"):
					t.Errorf("%s as %s: %s", route, role, got.body)
				}
			}
		}
	}
	// The answer to HEAD is the header alone.
	x.key = r.secrets["match"]
	x.call("HEAD", "/1/faces", "").status(403)
	x.key = ""
	x.call("HEAD", "/1/faces", "").status(401).header("WWW-Authenticate", "Bearer")
}

// TestOpenOperations checks what access.open opens.
func TestOpenOperations(t *testing.T) {
	r := newKeyring()
	r.Open = []string{"metrics", "healthcheck", "docs"}
	x := startWithKeys(t, r)
	x.key = ""
	for url, want := range map[string]int{
		"/metrics": 200, "/healthcheck": 200, "/docs": 200, "/docs/": 200, "/docs/spec": 200, "/docs/errors": 200, "/favicon.ico": 200, "/": 302,
		"/livez": 401, "/readyz": 401, "/version": 401, "/config": 401, "/1/plugins": 401, "/1/lists": 401, "/plugins/x/y": 401,
	} {
		x.call("GET", url, "").status(want)
	}
	starting := startWithKeys(t, newKeyring(), func(s *settings) { s.starting = true })
	starting.call("GET", "/1/faces", "").fault(12050, "starting")
	starting.key = ""
	starting.call("GET", "/livez", "").status(200)
	starting.call("GET", "/readyz", "").fault(12050, "starting")
	starting.call("GET", "/1/faces", "").fault(12025)
}

// TestKeyInURL checks that a key in a URL is refused and repeated nowhere.
func TestKeyInURL(t *testing.T) {
	r := newKeyring()
	x := startWithKeys(t, r, withPlugins(map[string]string{"echo": `local ns = require("nearside")
return {api = 1, name = "echo", kinds = {"background"}, start = function() ns.route("GET", "/x", function(req) return 200, {query = req.query, headers = req.headers} end) end}`}))
	key := r.secrets["admin"]
	escaped := strings.ReplaceAll(key, "ns_", "%6Es%5f")
	for _, url := range []string{
		"/1/faces?external_ids=" + key, "/1/faces?external_ids=" + escaped, "/1/faces?" + key, "/1/faces?api_key=x", "/1/faces?access_token=x", "/1/faces?X-API-KEY=x", "/1/faces?apikey=x",
		"/1/faces/" + key, "/" + key, "/metrics?api_key=" + key, "/plugins/echo/x?a=" + key, "/1/lists?page=" + key, "/1/faces?user_data=eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln",
	} {
		for _, header := range []string{key, ""} { // also with a right key in the header
			x.key = header
			x.call("GET", url, "").fault(12022, "the URL must not have a key").lacks(key)
		}
	}
	x.key = key
	got := x.call("GET", "/plugins/echo/x?api_key=mine", "", "X-Other", "kept").status(200).lacks(key)
	got.part("query", `{"api_key":"mine"}`)
	if h := got.at("headers").(map[string]any); h["authorization"] != nil || h["x-other"] != "kept" {
		t.Errorf("the plugin gets %v", h)
	}
	x.call("GET", "/config", "").status(200).lacks("ns_")
	x.call("GET", "/metrics", "").status(200).lacks("ns_")
	x.call("GET", "/1/faces", "", "Luna-Account-Id", key).fault(12022, "ns_***").lacks(key)
	x.call("GET", "/1/faces", "", "Accept", key).fault(12028, "ns_***").lacks(key)
	x.call("POST", "/1/faces", `{"`+key+`":1}`).fault(12022, "ns_***").lacks(key)
	if strings.Contains(x.log.String(), key) {
		t.Errorf("the log has the key: %s", x.log)
	}

	// Without keys, such a text means nothing.
	open := start(t)
	open.call("GET", "/1/faces?external_ids="+key, "").status(200)
	open.call("GET", "/1/faces", "", "X-Api-Key", "any", "Authorization", "Basic x").status(200)
}

// TestRates checks the rate and the concurrency of keys.
func TestRates(t *testing.T) {
	r := newKeyring()
	slow := r.add(access.Key{Name: "slow", Roles: []access.Role{access.Match}, Rate: access.Rate{Requests: 2, Per: time.Hour}})
	one := r.add(access.Key{Name: "one", Roles: []access.Role{access.Write}, Concurrent: 1})
	x := startWithKeys(t, r)
	x.key = slow
	x.call("GET", "/healthcheck", "").status(200)
	got := x.call("GET", "/healthcheck", "").fault(12053, "key slow", "2/h")
	if wait := testkit.Must(strconv.Atoi(got.response.Header.Get("Retry-After"))); wait < 1795 || wait > 1800 {
		t.Errorf("Retry-After %d", wait)
	}
	x.call("GET", "/config", "").fault(12053) // denied requests count, too
	x.call("GET", "/livez", "").status(200)   // open operations do not

	x.key = one
	held := x.dial().write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + one + "\r\nContent-Length: 10\r\n\r\n[")
	x.until(func() bool { return x.call("GET", "/1/faces", "").response.StatusCode == http.StatusTooManyRequests })
	x.call("GET", "/1/faces", "").fault(12053, "key one", "1 requests are in progress").header("Retry-After", "1")
	x.key = r.secrets["admin"]
	x.call("GET", "/1/faces", "").status(200)
	x.key = one
	held.write(strings.Repeat(" ", 9))
	held.answer("held").status(400)
	x.until(func() bool { return x.call("GET", "/1/faces", "").response.StatusCode == http.StatusOK })
}

// TestRotation replaces a key while clients use it: first the new key is added, then the
// clients change, then the old key is removed. No request fails, and at the end the old key
// is refused.
func TestRotation(t *testing.T) {
	r := &keyring{}
	current := r.add(access.Key{Name: "key-0", Roles: []access.Role{access.Read}, Concurrent: 1000})
	x := start(t, func(s *settings) { s.access = r.Config })
	var mu sync.RWMutex
	use := func() string {
		mu.RLock()
		defer mu.RUnlock()
		return current
	}
	done, failed, total := make(chan struct{}), 0, 0
	var clients sync.WaitGroup
	var counts sync.Mutex
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.RLock() // a client uses one key for the whole request
				request := testkit.Must(http.NewRequest(http.MethodGet, "http://"+x.address+"/1/lists", nil))
				request.Header.Set("X-Api-Key", current)
				response, err := x.client.Do(request)
				mu.RUnlock()
				counts.Lock()
				total++
				if err != nil || response.StatusCode != http.StatusOK {
					failed++
				}
				counts.Unlock()
				if err == nil {
					response.Body.Close()
				}
			}
		})
	}
	policy := x.limits.Access
	reload := func(keys []access.Key) {
		policy = testkit.Must(access.New(access.Config{Keys: keys}, policy))
		limits := x.limits
		limits.Access = policy
		x.server.Reload(limits)
	}
	for n := range 20 {
		old := use()
		next := r.add(access.Key{Name: "key-" + strconv.Itoa(n+1), Roles: []access.Role{access.Read}, Concurrent: 1000})
		reload(r.Keys)
		x.until(func() bool {
			return x.call("GET", "/1/lists", "", "X-Api-Key", next).response.StatusCode == http.StatusOK
		})
		mu.Lock() // waits for the requests with the old key
		current = next
		mu.Unlock()
		r.Keys = r.Keys[len(r.Keys)-1:]
		reload(r.Keys)
		x.call("GET", "/1/lists", "", "X-Api-Key", old).fault(12025, "unknown")
	}
	close(done)
	clients.Wait()
	if failed > 0 || total < 100 {
		t.Errorf("%d of %d requests failed", failed, total)
	}
}

// TestTokens checks that the server accepts tokens. TestAlgorithms in package access has
// the attacks.
func TestTokens(t *testing.T) {
	secret := strings.Repeat("s", 32)
	x := start(t, func(s *settings) {
		s.access = access.Config{JWT: access.JWT{SecretFile: writeSecret(t, secret), Audience: "nearside", RolesClaim: "roles", AccountClaim: "account_id"}}
	})
	account := "aaaaaaaa-0000-4000-8000-000000000000"
	token := func(claims string) string {
		return signHS256(secret, `{"aud":"nearside","exp":`+strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)+claims+`}`)
	}
	x.key = token(`,"sub":"ann","roles":["write"],"account_id":"` + account + `"`)
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.call("GET", "/1/faces/"+id(1), "").status(200).part("account_id", `"`+account+`"`)
	x.call("GET", "/1/faces?account_id="+id(9), "").fault(12026, "account_id", id(9))
	x.call("GET", "/config", "").fault(12026, "the token", "admin")
	x.key = token(`,"sub":"bob"`)
	x.call("GET", "/healthcheck", "").fault(12026, "the token", "needs the role match, but has no role")
	x.key = token(`,"roles":["admin"]`) + "x"
	x.call("GET", "/config", "").fault(12025)
	x.key = ""
	x.call("GET", "/config", "").fault(12025)
}

// TestMatchesOfKeys checks that each kind of match works while several keys are active, and
// that it leaves its turn, also after an error: otherwise the later matches would wait.
func TestMatchesOfKeys(t *testing.T) {
	r := newKeyring()
	account := testkit.Must(matcher.ParseID(other.account))
	bound := r.add(access.Key{Name: "bound", Roles: []access.Role{access.Match}, Account: account})
	x := startWithKeys(t, r, func(s *settings) { s.timeout = 10 * time.Second })
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	given := givenDescriptor(descriptor(v4, 1, 2, 3, 4))
	for range 16 * (runtime.GOMAXPROCS(0) + 1) / 4 {
		for key, result := range map[string]string{r.secrets["admin"]: `[{"face":{"face_id":"` + id(1) + `"}}]`, bound: "[]"} {
			x.key = key
			body := matchBody(given, `{"filters":{"origin":"faces"},"targets":["face_id"]}`)
			x.call("POST", "/1/matcher/faces", body).status(201).part("0.matches.0.result", result)
			x.call("POST", "/1/matcher/faces", body, "Accept", "application/x-ndjson").status(201)
			x.call("POST", "/1/matcher/faces", matchBody(storedFace(2), allFaces())).fault(22004)
			x.call("POST", "/1/matcher/faces", "{").fault(12001)
			x.call("POST", "/1/matcher/raw", matchBody(given, given)).status(201)
			x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}}}`).status(201)
		}
	}
}
