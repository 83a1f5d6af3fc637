package lua

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"
)

// Real servers, of the system's packages redis-server and rabbitmq-server, on
// free ports of 127.0.0.1, with files in a temporary folder. Where they are
// not installed the tests skip, unless PEERS_STRICT is set: CI sets it.

// password is in the URL of every real peer; no log or error may have it.
const password = "peer-p4ss"

// A peer is a server that runs.
type peer struct {
	cmd   *exec.Cmd
	stdin io.Closer // its end is the server's
	log   string
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PEERS_STRICT") != "" {
		t.Fatalf("%s is not installed, and PEERS_STRICT is set", what)
	}
	t.Skipf("%s is not installed: this was not tested", what)
}

func find(t testing.TB, program string, folders ...string) string {
	t.Helper()
	for _, dir := range folders {
		if path := filepath.Join(dir, program); exec.Command(path).Path == path && executable(path) {
			return path
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program)
	}
	return path
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// run starts a server under testdata/peer.sh.
func run(t testing.TB, dir string, env []string, program string, args ...string) *peer {
	t.Helper()
	p := &peer{log: filepath.Join(dir, filepath.Base(program)+".out")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	script, err := filepath.Abs("testdata/peer.sh")
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command("bash", append([]string{script, program}, args...)...)
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// end kills the server and waits for its end.
func (p *peer) end() {
	p.stdin.Close()
	p.cmd.Wait() // says that it was killed
}

// ready polls until ask has no error.
func (p *peer) ready(t testing.TB, ask func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(90 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			text, _ := os.ReadFile(p.log)
			t.Fatalf("the server is not ready: %v\n%s", err, text)
		}
	}
}

// freePort is a port of 127.0.0.1 that nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startRedis runs a server that keeps its data in dir.
func startRedis(t testing.TB, dir, port string) *peer {
	t.Helper()
	p := run(t, dir, nil, find(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", dir,
		"--requirepass", password, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	p.ready(t, func() error {
		c := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:" + port, Password: password, MaxRetries: -1})
		defer c.Close()
		return c.Ping(context.Background()).Err()
	})
	return p
}

// shared are the servers that live as long as the test binary.
var shared struct {
	redis, rabbit sync.Once
	redisURL      string
	rabbitAddr    string
	rabbitEnv     []string // for rabbitmqctl
	mu            sync.Mutex
	ends          []func()
}

// endPeers ends them; TestMain calls it.
func endPeers() {
	for _, end := range slices.Backward(shared.ends) {
		end()
	}
}

func keep(p *peer) { shared.ends = append(shared.ends, p.end) }

func sharedFolder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nearside-"+name)
	if err != nil {
		t.Fatal(err)
	}
	shared.ends = append(shared.ends, func() { os.RemoveAll(dir) })
	return dir
}

// redisURL is a real Redis, of a database for this test alone.
func redisURL(t testing.TB) string {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.redis.Do(func() {
		find(t, "redis-server")
		dir, port := sharedFolder(t, "redis"), freePort(t)
		keep(startRedis(t, dir, port))
		shared.redisURL = "redis://:" + password + "@127.0.0.1:" + port
	})
	if shared.redisURL == "" {
		missing(t, "redis-server")
	}
	return shared.redisURL
}

// rabbitAddr is host:port of a real RabbitMQ, with user "nearside".
func rabbitAddr(t testing.TB) string {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.rabbit.Do(func() { startRabbit(t) })
	if shared.rabbitAddr == "" {
		missing(t, "rabbitmq-server")
	}
	return shared.rabbitAddr
}

func rabbitURL(addr string) string { return "amqp://nearside:" + password + "@" + addr }

// startRabbit runs a node with its own name, ports, folders, cookie and epmd.
func startRabbit(t testing.TB) {
	t.Helper()
	// The script in the path may be one that only root can use.
	program := find(t, "rabbitmq-server", "/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin")
	epmd := find(t, "epmd")
	dir, port := sharedFolder(t, "rabbit"), freePort(t)
	config := fmt.Sprintf("default_user = nearside\ndefault_pass = %s\nloopback_users = none\nlog.console = true\nlog.console.level = warning\nlog.file = false\n", password)
	if err := os.WriteFile(filepath.Join(dir, "rabbitmq.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "enabled_plugins"), []byte("[].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"HOME=" + dir, "ERL_EPMD_PORT=" + freePort(t), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=nearside" + port + "@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + port,
		"RABBITMQ_DIST_PORT=" + freePort(t), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"), "RABBITMQ_GENERATED_CONFIG_DIR=" + filepath.Join(dir, "generated"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
	}
	keep(run(t, dir, env, epmd))
	p := run(t, dir, env, program)
	keep(p)
	p.ready(t, func() error {
		c, err := amqp.Dial(rabbitURL("127.0.0.1:" + port))
		if err != nil {
			return err
		}
		return c.Close()
	})
	shared.rabbitAddr, shared.rabbitEnv = "127.0.0.1:"+port, env
}

// rabbitctl runs a command of rabbitmqctl on the shared server.
func rabbitctl(t testing.TB, args ...string) {
	t.Helper()
	c := exec.Command(find(t, "rabbitmqctl", "/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin"), args...)
	c.Env = append(os.Environ(), shared.rabbitEnv...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("rabbitmqctl %q: %v\n%s", args, err, out)
	}
}

// A cutter stands between a client and a server, and cuts connections.
type cutter struct {
	l    net.Listener
	to   string
	work sync.WaitGroup

	mu     sync.Mutex
	down   bool
	conns  map[net.Conn]bool
	frozen chan struct{} // nil: bytes pass
}

// cut makes a cutter in front of a server; secure, if given, is for its own
// side.
func cut(t testing.TB, to string, secure ...*tls.Config) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range secure {
		l = tls.NewListener(l, config)
	}
	c := &cutter{l: l, to: to, conns: map[net.Conn]bool{}}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.freeze(false)
		c.set(true)
		c.work.Wait()
	})
	return c
}

func (c *cutter) addr() string { return c.l.Addr().String() }

// set cuts what is there; down says whether new connections are cut, too.
func (c *cutter) set(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

// freeze holds all bytes back, without closing anything.
func (c *cutter) freeze(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && c.frozen == nil:
		c.frozen = make(chan struct{})
	case !on && c.frozen != nil:
		close(c.frozen)
		c.frozen = nil
	}
}

func (c *cutter) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		c.mu.Lock()
		frozen := c.frozen
		c.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if _, e := to.Write(buffer[:n]); err != nil || e != nil {
			return
		}
	}
}

func (c *cutter) accept() {
	for {
		in, err := c.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		c.mu.Lock()
		if err != nil || c.down {
			in.Close()
			if err == nil {
				out.Close()
			}
			c.mu.Unlock()
			continue
		}
		c.conns[in], c.conns[out] = true, true
		c.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			c.work.Go(func() {
				c.copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
			})
		}
	}
}

// secret fails the test when a password was logged.
func (l *lines) secret(t *testing.T, secrets ...string) {
	t.Helper()
	for _, s := range append(secrets, password) {
		if strings.Contains(l.all(), s) {
			t.Errorf("%q was logged:\n%s", s, l.all())
		}
	}
}
