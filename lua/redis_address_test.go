package lua

import (
	"context"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/luatest"
)

// startCluster starts a server in cluster mode that has all slots, and returns its address.
func startCluster(t *testing.T) string {
	t.Helper()
	dir, port := t.TempDir(), luatest.FreePort(t)
	p := luatest.RunServer(t, dir, nil, luatest.FindProgram(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "",
		"--cluster-enabled", "yes", "--cluster-port", luatest.FreePort(t))
	t.Cleanup(p.End)
	address := "127.0.0.1:" + port
	c := goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { c.Close() })
	p.AwaitReady(t, func() error {
		if err := c.Do(context.Background(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil && !strings.Contains(err.Error(), "already busy") {
			return err
		}
		if err := c.Do(context.Background(), "ACL", "SETUSER", "lua", "on", ">"+luatest.Password, "~*", "&*", "+@all").Err(); err != nil {
			return err
		}
		return c.Set(context.Background(), "ready", 1, 0).Err()
	})
	return address
}

// startSentinel starts a Sentinel that knows the server at port as "main", and returns the
// address of the Sentinel.
func startSentinel(t *testing.T, port string) string {
	t.Helper()
	dir, own := t.TempDir(), luatest.FreePort(t)
	config := luatest.Folder(t, map[string]string{"sentinel.conf": "bind 127.0.0.1\nport " + own + "\ndir " + dir +
		"\nsentinel monitor main 127.0.0.1 " + port + " 1\nsentinel auth-pass main " + luatest.Password + "\n"}) + "/sentinel.conf"
	p := luatest.RunServer(t, dir, nil, luatest.FindProgram(t, "redis-server"), config, "--sentinel")
	t.Cleanup(p.End)
	address := "127.0.0.1:" + own
	c := goredis.NewSentinelClient(&goredis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { c.Close() })
	p.AwaitReady(t, func() error { return c.GetMasterAddrByName(context.Background(), "main").Err() })
	return address
}

// TestRedisClusterAndSentinel: commands, readers, dead letters and reloads work with
// both. Permissions also apply to nodes whose addresses come from other nodes.
func TestRedisClusterAndSentinel(t *testing.T) {
	dir, port := t.TempDir(), luatest.FreePort(t)
	single := luatest.StartRedis(t, dir, port)
	t.Cleanup(single.End)
	sentinel, cluster := startSentinel(t, port), startCluster(t)
	for name, url := range map[string]string{
		"sentinel": "redis://:" + luatest.Password + "@" + sentinel + "?master_name=main",
		"cluster":  "redis://lua:" + luatest.Password + "@" + cluster + "?cluster=true",
	} {
		t.Run(name, func(t *testing.T) {
			h, log := startHost(t, script(`"redis:*"`, connectRedis(url)+`
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
			log.Wait(t, "done")
			luatest.WantLines(t, log.All(), "msg=v", "got 1", "got bad", "got 2")
			if err := h.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			closeHost(t, h)
			log.WantNoSecret(t)
		})
	}
	all := eval(t, `"redis:`+sentinel+`"`, connectRedis("redis://:"+luatest.Password+"@"+sentinel+"?master_name=main")+`print("master", c:call("PING"))`)
	luatest.WantLines(t, all, `master\tnil\t`, `not permitted: add \"redis:127.0.0.1:`+port)
}
