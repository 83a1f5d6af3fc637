package lua

import (
	"context"
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

func TestParseRedisURL(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		a, err := parseRedisURL(text)
		got := fmt.Sprintf("%s %s %q %d %q %v", a.scheme, a.user, a.all, a.db, a.master, a.cluster)
		if err != nil {
			got = "error " + err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	f("redis://h", `redis  ["h:6379"] 0 "" false`)
	f("rediss://u:p@h:1/2", `rediss u ["h:1"] 2 "" false`)
	f("redis://u:p@h:1/2?master_name=m&addr=i:2&addr=j", `redis u ["h:1" "i:2" "j:6379"] 2 "m" false`)
	f("redis://h?cluster=true&addr=i:2", `redis  ["h:6379" "i:2"] 0 "" true`)
	f("redis://h/1?cluster=true", "error a cluster has no database")
	f("redis://h?addr=i", "error the url is not of the form")
	f("redis://h?master_name=m&cluster=true", "error the url is not of the form")
	f("redis://h?a=b", "error the url is not of the form")
	f("redis://h?cluster=true&addr=:0", "error addr: ")
	f("redis://h/x", "error the url's path")
}

// clusterOfOne is a server in cluster mode that has all slots.
func clusterOfOne(t *testing.T) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	p := run(t, dir, nil, find(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "",
		"--cluster-enabled", "yes", "--cluster-port", freePort(t))
	t.Cleanup(p.end)
	address := "127.0.0.1:" + port
	c := goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { c.Close() })
	p.ready(t, func() error {
		if err := c.Do(context.Background(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil && !strings.Contains(err.Error(), "already busy") {
			return err
		}
		if err := c.Do(context.Background(), "ACL", "SETUSER", "lua", "on", ">"+password, "~*", "&*", "+@all").Err(); err != nil {
			return err
		}
		return c.Set(context.Background(), "ready", 1, 0).Err()
	})
	return address
}

// sentinelOf is a Sentinel that knows a server as "main".
func sentinelOf(t *testing.T, port string) string {
	t.Helper()
	dir, own := t.TempDir(), freePort(t)
	config := folder(t, map[string]string{"sentinel.conf": "bind 127.0.0.1\nport " + own + "\ndir " + dir +
		"\nsentinel monitor main 127.0.0.1 " + port + " 1\nsentinel auth-pass main " + password + "\n"}) + "/sentinel.conf"
	p := run(t, dir, nil, find(t, "redis-server"), config, "--sentinel")
	t.Cleanup(p.end)
	address := "127.0.0.1:" + own
	c := goredis.NewSentinelClient(&goredis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { c.Close() })
	p.ready(t, func() error { return c.GetMasterAddrByName(context.Background(), "main").Err() })
	return address
}

// TestRedisClusterAndSentinel: commands, readers, dead letters and reloads
// with both; a node that is named by others is held to the permissions.
func TestRedisClusterAndSentinel(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	single := startRedis(t, dir, port)
	t.Cleanup(single.end)
	sentinel, cluster := sentinelOf(t, port), clusterOfOne(t)
	for name, url := range map[string]string{
		"sentinel": "redis://:" + password + "@" + sentinel + "?master_name=main",
		"cluster":  "redis://lua:" + password + "@" + cluster + "?cluster=true",
	} {
		t.Run(name, func(t *testing.T) {
			h, log := start(t, script(`"redis:*"`, connectRedis(url)+`
assert(c:call("SET", "k", "v"))
print(c:call("GET", "k"))
assert(c:subscribe("news", function(m) print("news " .. m) end))
assert(c:xreadgroup({group = "g", stream = "s", dead = "d"}, function(e)
  print("got " .. e.fields.n)
  if e.fields.n == "bad" then return "dead" end
  return true
end))
for _, n in ipairs({"1", "bad", "2"}) do assert(c:call("XADD", "s", "*", "n", n)) end
ns.spawn(function()
  repeat ns.sleep(0.05) until c:call("XLEN", "d") == 1 and c:call("XPENDING", "s", "g")[1] == 0
  repeat ns.sleep(0.05) until c:call("PUBLISH", "news", "x") == 1
  print("done")
end)`))
			log.wait(t, "done")
			logged(t, log.all(), "msg=v", "got 1", "got bad", "got 2")
			if err := h.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			closeHost(t, h)
			log.secret(t)
		})
	}
	all := eval(t, `"redis:`+sentinel+`"`, connectRedis("redis://:"+password+"@"+sentinel+"?master_name=main")+`print("master", c:call("PING"))`)
	logged(t, all, `master\tnil\t`, `not permitted: add \"redis:127.0.0.1:`+port)
}
