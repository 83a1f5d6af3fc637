package trial

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"nearside/lua"
	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// runLua runs body in the first instance of a plugin and returns its first
// result.
func runLua(t *testing.T, h *lua.Host, body string) (any, error) {
	t.Helper()
	p, err := h.Probe()
	if err != nil {
		t.Fatal(err)
	}
	in := p.Instance()
	script, err := vm.Compile("t.lua", "local ns = require('nearside') return function()\n"+body+"\nend", ns.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, fn, err := in.State.Load(context.Background(), vm.Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.Call(context.Background(), vm.Limits{Slice: 5 * time.Second}, fn.(*vm.Func))
	if err != nil || len(r) == 0 {
		return nil, err
	}
	return r[0], nil
}

func TestMain(m *testing.M) {
	ours := goleak.IgnoreCurrent() // package ants starts a pool when the program starts
	goleak.VerifyTestMain(m, ours, goleak.Cleanup(func(code int) {
		luatest.EndServers()
		os.Exit(code)
	}))
}

// start runs a host with real services and with a plugin named p, whose source is source.
func start(t testing.TB, source string, change ...func(*lua.Options)) (*lua.Host, *luatest.Lines) {
	t.Helper()
	log := luatest.NewLines()
	o := lua.Options{
		Dir: luatest.Folder(t, map[string]string{"p.lua": source}), Active: []string{"p"},
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&o)
	}
	h, err := lua.New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h, log
}

// rabbitChannel returns a channel of a real server that does not go through plugins.
func rabbitChannel(t testing.TB) *amqp091.Channel {
	t.Helper()
	conn, err := amqp091.Dial(luatest.RabbitURL(luatest.RabbitAddr(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// redisClient returns a client of a real server that does not go through plugins.
func redisClient(t testing.TB) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(luatest.RedisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	o.Protocol = 2
	c := goredis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}
