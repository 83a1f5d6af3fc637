package server_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/internal/access"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestAccountAudit attacks every operation of the OpenAPI document as one account,
// with the IDs, keys, lists and filters of another account and of no account. Two
// servers get the same requests. The audited server has the objects of all owners, the
// control has only those of the attacker. If the answers differ, or if an answer has a
// secret of others that the request does not have, the server has revealed something.
//
// The attacker names its account in the query, or has a key that is bound to it, or a key that
// is also bound to its lists.
func TestAccountAudit(t *testing.T) {
	ways := []string{"query", "account", "lists"}
	if testkit.RaceEnabled {
		ways = ways[2:]
	}
	for _, by := range ways {
		t.Run(by, func(t *testing.T) { auditAccount(t, by) })
	}
}

func auditAccount(t *testing.T, by string) {
	r := &keyring{}
	r.add(access.Key{Name: "admin", Roles: []access.Role{access.Admin}})
	account := testkit.Must(matcher.ParseID(attacker.account))
	r.add(access.Key{Name: "account", Roles: []access.Role{access.Write}, Account: account})
	r.add(access.Key{Name: "lists", Roles: []access.Role{access.Write}, Account: account, Lists: []matcher.ID{
		testkit.Must(matcher.ParseID(attacker.id(101))), testkit.Must(matcher.ParseID(attacker.id(100))),
	}})
	if by == "query" {
		r = nil
	}
	x, control := startAudit(t, r, attacker, other, unowned), startAudit(t, r, attacker)
	a := &accountAudit{x: x, control: control, seen: map[string]map[string]bool{}}
	if r != nil {
		a.key = r.secrets[by]
	}
	others := a.others()
	if n := len(secrets.FindAllString(others, -1)); n < 500 {
		t.Fatalf("only %d secrets are stored", n)
	}
	compareEvery := 1 // attacks that write
	if testkit.RaceEnabled {
		compareEvery = 8 // a comparison is slow there; the run without the race detector finds the attack
	}
	writes := 0
	for _, attack := range attacks() {
		answer := a.ask(attack)
		if attack.method == "GET" || strings.Contains(attack.url, "matcher/") || strings.Contains(attack.url, "/find") {
			continue
		}
		if writes++; writes%compareEvery == 0 {
			if diff := cmp.Diff(others, a.others()); diff != "" {
				t.Fatalf("%s %s %.300s, or one of the %d attacks before it, changed objects of others: %s", attack.method, attack.url, attack.body, compareEvery-1, diff)
			}
		}
		if bytes.HasPrefix(answer.body, []byte(`{"deleted":`)) && !bytes.Contains(answer.body, []byte(":0}")) {
			x.seed(attacker)
			control.seed(attacker)
		}
	}
	if diff := cmp.Diff(others, a.others()); diff != "" {
		t.Fatalf("the last attacks changed objects of others: %s", diff)
	}
	for path, item := range x.spec.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, p := range op.Parameters {
				if adminOnly(path) {
					continue
				}
				if p.Value.In == "query" && (p.Value.Name != "account_id" || a.key == "") && !a.seen[op.OperationID][p.Value.Name] {
					t.Errorf("%s %s is not attacked with %s", method, path, p.Value.Name)
				}
			}
			if a.seen[op.OperationID] == nil && !adminOnly(path) {
				t.Errorf("%s %s is not attacked", method, path)
			}
		}
	}
	for _, name := range []string{"spy.widened", "spy.added", "thin.added"} {
		if by == "lists" { // most of its matches are refused before plugins see them
			break
		}
		plugin, counter, _ := strings.Cut(name, ".")
		if n := x.call("GET", "/plugins/"+plugin+"/attacks", "").status(200).at(counter).(float64); n < 9 {
			t.Errorf("plugin %s: %s is %v, want at least 9", plugin, counter, n)
		}
	}
	// A list is deleted with the faces that its account can see.
	x.call("DELETE", "/1/lists/"+attacker.id(100)+"?with_faces=1&account_id="+attacker.account, "").status(204)
	x.call("GET", "/1/faces?account_id="+attacker.account, "").status(200).part("count", "0")
	x.call("GET", "/1/faces/"+unowned.id(1), "").status(200).part("lists", `["`+other.id(100)+`","`+unowned.id(100)+`"]`)
}

// adminOnly reports whether only the role admin, which sees all accounts, may use a path. What
// is below it has no objects.
func adminOnly(path string) bool {
	return strings.HasPrefix(path, "/1/tasks") || path == "/1/audit"
}

// owner owns objects. digit is part of its IDs, and number is in no field of other
// owners.
type owner struct {
	digit, account string
	number         int
	objects        int // of each origin
}

var (
	attacker = owner{"a", "aaaaaaaa-0000-4000-8000-0000000000ff", 10, 3}
	other    = owner{"b", "bbbbbbbb-0000-4000-8000-0000000000ff", 201, 9}
	unowned  = owner{"c", "", 202, 9} // the objects without an account
)

// id returns an ID of o.
func (o owner) id(n int) string { return strings.Repeat(o.digit, 8) + id(n)[8:] }

// text returns a text that only o's objects have.
func (o owner) text(field string) string { return "secret-" + o.digit + "-" + field }

// secrets matches texts that only objects of other and unowned have.
var secrets = regexp.MustCompile(`secret-[bc]-[a-z]*|(bbbbbbbb|cccccccc)-[0-9a-f-]{27}|2031-[0-9]{2}-[0-9]{2}T[0-9:.]*Z|(ycnJ|ysrK|yQAA|ygAA)[A-Za-z0-9+/=]*`)

func startAudit(t *testing.T, keys *keyring, owners ...owner) *service {
	x := start(t, withPlugins(map[string]string{"spy": spy("spy", "create_time_asc", ""), "thin": spy("thin", "create_time_desc", "M.prefilter = nil")}), func(s *settings) {
		s.limits.References, s.cross = 5, 14
		if keys != nil {
			s.access = keys.Config
		}
	})
	if keys != nil {
		x.key = keys.secrets["admin"]
	}
	for _, o := range owners {
		for _, list := range []int{100, 101} {
			x.call("POST", "/1/lists", o.withAccount(`{"list_id":"`+o.id(list)+`","user_data":"`+o.text("list")+`"`)+"}").status(201)
		}
	}
	for _, o := range owners {
		x.seed(o)
	}
	for _, account := range []string{"?account_id=" + other.account, ""} { // so that the plugins keep sets of others
		for _, origin := range []string{"faces", "events", "attributes"} {
			for _, order := range []string{"create_time_asc", "create_time_desc"} {
				x.call("POST", "/1/matcher/faces"+account, matchBody(givenDescriptor(descriptor(v4, 201, 201, 201, 1)),
					`{"filters":{"origin":"`+origin+`"},"order":"`+order+`","limit":7}`)).status(201)
			}
		}
	}
	return x
}

// seed stores o's objects, or restores them.
func (x *service) seed(o owner) {
	x.Helper()
	var faces, events []string
	for n := 1; n <= o.objects; n++ {
		faces, events = append(faces, o.face(n)), append(events, o.event(n))
		x.call("PUT", "/1/attributes/"+o.id(n)+"?ttl=3000", o.attribute(n))
	}
	for query, lines := range map[string][]string{"origin=faces": faces, "origin=events": events} {
		x.call("POST", "/1/import?"+query, strings.Join(lines, "\n")).status(200).part("accepted", itoa(o.objects))
	}
}

// accountAudit has the two servers, and the query parameters that were used, by operation.
type accountAudit struct {
	x, control *service
	seen       map[string]map[string]bool
	key        string // of the attacker; empty: it names its account in the query
}

// attack is a request of the attacker.
type attack struct {
	method, url, body string
	// taken is the answer that reveals that an ID is in use. It cannot be hidden,
	// because all accounts share the IDs. The control does not get this request.
	taken string
	// open is set when the answer is about the server and does not depend on the account.
	open bool
}

// variable matches the parts of answers that differ between equal requests: times, and
// shared_with when a plugin answers several references at once.
var variable = regexp.MustCompile(`"(ms|execution_time|shared_with)":[0-9.e+-]+|"create_time":"202[0-9]-(0[6-9]|1[0-2])[^"]*"|"expire_time":"202[0-9]-[^"]*"|[0-9]{10},[0-9a-f-]{36}`)

func (a *accountAudit) ask(attack attack) *answer {
	a.x.Helper()
	address := attack.url + "?"
	if strings.Contains(attack.url, "?") {
		address = attack.url + "&"
	}
	var headers []string
	if address += "account_id=" + attacker.account; a.key != "" {
		address, headers = attack.url, []string{"Authorization", "Bearer " + a.key}
	}
	got := a.x.call(attack.method, address, attack.body, headers...)
	a.count(got)
	checkUnseen := func(text string) {
		a.x.Helper()
		plain, err := url.QueryUnescape(attack.url)
		check(a.x, err)
		for _, secret := range secrets.FindAllString(text, -1) {
			if !strings.Contains(plain+attack.body, secret) {
				a.x.Errorf("%s %.500s: %q is in the answer: %.2000s", got.request, attack.body, secret, text)
				return
			}
		}
	}
	checkUnseen(string(got.body))
	for name, values := range got.response.Header {
		checkUnseen(name + strings.Join(values, " "))
	}
	switch {
	case attack.open:
	case attack.taken != "" && bytes.Contains(got.body, []byte("bound to")): // the key is refused, whether the ID is taken or not
	case attack.taken != "":
		if !strings.Contains(string(got.body), attack.taken) {
			a.x.Errorf("%s %.300s: no %q in the answer: %.500s", got.request, attack.body, attack.taken, got.body)
		}
	default:
		want := a.control.call(attack.method, address, attack.body, headers...)
		if diff := cmp.Diff(want.comparable(), got.comparable()); diff != "" {
			a.x.Errorf("%s %.500s: the answer depends on other accounts (+): %s", got.request, attack.body, diff)
		}
	}
	return got
}

// comparable returns all parts of an answer that must not depend on other accounts.
func (a *answer) comparable() map[string]any {
	head := maps.Clone(a.response.Header)
	for _, name := range []string{"Date", "Luna-Request-Id", "Content-Length"} {
		head.Del(name)
	}
	lines := strings.Split(variable.ReplaceAllString(string(a.body), "#"), "\n") // the lines of an export have no order
	slices.Sort(lines)
	return map[string]any{"status": a.response.StatusCode, "headers": head, "body": lines}
}

// count records the operation and the query parameters of an answered request.
func (a *accountAudit) count(got *answer) {
	request := got.response.Request
	route, _, err := a.x.spec.router.FindRoute(request)
	if err != nil {
		return // not an operation of the document
	}
	id := route.Operation.OperationID
	if a.seen[id] == nil {
		a.seen[id] = map[string]bool{}
	}
	if got.response.StatusCode != http.StatusMethodNotAllowed {
		for key := range request.URL.Query() {
			a.seen[id][key] = true
		}
	}
}

// others returns everything that does not belong to the attacker, in a fixed order.
func (a *accountAudit) others() string {
	var all []string
	for _, origin := range []string{"faces", "events"} {
		for line := range strings.Lines(string(a.x.call("GET", "/1/export?origin="+origin, "").status(200).body)) {
			if !strings.Contains(line, `"account_id":"`+attacker.account) {
				all = append(all, line)
			}
		}
	}
	slices.Sort(all)
	for _, o := range []owner{other, unowned} {
		for n := 1; n <= o.objects; n++ {
			all = append(all, string(a.x.call("GET", "/1/attributes/"+o.id(n)+"?descriptor=1", "").status(200).body))
		}
		for _, list := range []int{100, 101} {
			all = append(all, string(a.x.call("GET", "/1/lists/"+o.id(list), "").status(200).body))
		}
	}
	return strings.Join(all, "\n")
}
