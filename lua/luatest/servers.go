package luatest

import (
	"crypto/tls"
	_ "embed" // peerScript
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

//go:embed peer.sh
var peerScript string

// The tests run real servers from the system packages redis-server and
// rabbitmq-server. They listen on free ports of 127.0.0.1 and keep their files in
// a temporary folder. If a server is not installed, the tests that need it are
// skipped. They fail instead if PEERS_STRICT is set, as in CI.

// Password is in the URL of every real server. It must not appear in a log or an
// error.
const Password = "peer-p4ss"

// A Server is a running server process.
type Server struct {
	cmd   *exec.Cmd
	stdin io.Closer // closing it makes peer.sh kill the server
	log   string
}

// skipMissing skips a test that needs a program that is not installed. If PEERS_STRICT is
// set, it fails the test.
func skipMissing(t testing.TB, program string) {
	t.Helper()
	if os.Getenv("PEERS_STRICT") != "" {
		t.Fatalf("%s is not installed, and PEERS_STRICT is set", program)
	}
	t.Skipf("%s is not installed: this was not tested", program)
}

// FindProgram looks for a program in folders, then in PATH, and returns its path.
// If the program is missing, it skips the test, or fails it if PEERS_STRICT is set.
func FindProgram(t testing.TB, program string, folders ...string) string {
	t.Helper()
	for _, dir := range folders {
		if path := filepath.Join(dir, program); executable(path) {
			return path
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		skipMissing(t, program)
	}
	return path
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// RunServer starts a server under peer.sh, in the folder dir. env is added to the
// environment of the test.
func RunServer(t testing.TB, dir string, env []string, program string, args ...string) *Server {
	t.Helper()
	p := &Server{log: filepath.Join(dir, filepath.Base(program)+".out")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command("bash", append([]string{"-c", peerScript, "peer.sh", program}, args...)...)
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

// End kills the server and waits until it has exited.
func (p *Server) End() {
	p.stdin.Close()
	p.cmd.Wait() // the error only says that the server was killed
}

// AwaitReady calls check repeatedly until it succeeds. It fails the test after 90 s.
func (p *Server) AwaitReady(t testing.TB, check func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(90 * time.Second)
	for {
		err := check()
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

// converse sends a request to a server and checks the beginning of its response.
func converse(address, question, want string) error {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, question); err != nil {
		return err
	}
	answer := make([]byte, len(want))
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if string(answer) != want {
		return fmt.Errorf("%s answers %q, want %q", address, answer, want)
	}
	return nil
}

// FreePort returns a port of 127.0.0.1 that is currently unused.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// StartRedis starts a Redis server that keeps its data in dir.
func StartRedis(t testing.TB, dir, port string) *Server {
	t.Helper()
	p := RunServer(t, dir, nil, FindProgram(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", dir,
		"--requirepass", Password, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	p.AwaitReady(t, func() error {
		return converse("127.0.0.1:"+port, "AUTH "+Password+"\r\nPING\r\n", "+OK\r\n+PONG\r\n")
	})
	return p
}

// sharedServers holds the servers that run until the test binary exits.
var sharedServers struct {
	redis, rabbit sync.Once
	redisURL      string
	rabbitAddr    string
	rabbitEnv     []string // for rabbitmqctl
	mu            sync.Mutex
	ends          []func()
}

// EndServers ends the shared servers. TestMain calls it.
func EndServers() {
	for _, end := range slices.Backward(sharedServers.ends) {
		end()
	}
}

// keepServer makes EndServers end a server.
func keepServer(p *Server) { sharedServers.ends = append(sharedServers.ends, p.End) }

// sharedFolder creates a folder that EndServers removes.
func sharedFolder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nearside-"+name)
	if err != nil {
		t.Fatal(err)
	}
	sharedServers.ends = append(sharedServers.ends, func() { os.RemoveAll(dir) })
	return dir
}

// RedisURL returns the URL of the shared Redis server, without a database. It
// starts the server if necessary.
func RedisURL(t testing.TB) string {
	t.Helper()
	sharedServers.mu.Lock()
	defer sharedServers.mu.Unlock()
	sharedServers.redis.Do(func() {
		FindProgram(t, "redis-server")
		dir, port := sharedFolder(t, "redis"), FreePort(t)
		keepServer(StartRedis(t, dir, port))
		sharedServers.redisURL = "redis://:" + Password + "@127.0.0.1:" + port
	})
	if sharedServers.redisURL == "" { // an earlier test was skipped, because the server is not installed
		skipMissing(t, "redis-server")
	}
	return sharedServers.redisURL
}

// RabbitAddr returns the host:port of the shared RabbitMQ server, whose user is
// "nearside". It starts the server if necessary.
func RabbitAddr(t testing.TB) string {
	t.Helper()
	sharedServers.mu.Lock()
	defer sharedServers.mu.Unlock()
	sharedServers.rabbit.Do(func() { startRabbit(t) })
	if sharedServers.rabbitAddr == "" { // an earlier test was skipped, because the server is not installed
		skipMissing(t, "rabbitmq-server")
	}
	return sharedServers.rabbitAddr
}

// RabbitURL returns the URL of the RabbitMQ server at addr.
func RabbitURL(addr string) string { return "amqp://nearside:" + Password + "@" + addr }

// startRabbit starts a RabbitMQ node with its own name, ports, folders, cookie and
// epmd.
func startRabbit(t testing.TB) {
	t.Helper()
	// The script in PATH may be a wrapper that only root can run.
	program := FindProgram(t, "rabbitmq-server", "/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin")
	epmd := FindProgram(t, "epmd")
	dir, port := sharedFolder(t, "rabbit"), FreePort(t)
	config := fmt.Sprintf("default_user = nearside\ndefault_pass = %s\nloopback_users = none\nlog.console = true\nlog.console.level = warning\nlog.file = false\n", Password)
	if err := os.WriteFile(filepath.Join(dir, "rabbitmq.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "enabled_plugins"), []byte("[].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"HOME=" + dir, "ERL_EPMD_PORT=" + FreePort(t), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=nearside" + port + "@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + port,
		"RABBITMQ_DIST_PORT=" + FreePort(t), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"), "RABBITMQ_GENERATED_CONFIG_DIR=" + filepath.Join(dir, "generated"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
	}
	keepServer(RunServer(t, dir, env, epmd))
	p := RunServer(t, dir, env, program)
	keepServer(p)
	p.AwaitReady(t, func() error {
		return converse("127.0.0.1:"+port, "AMQP\x00\x00\x09\x01", "\x01\x00\x00") // a method frame on channel 0: Connection.Start
	})
	sharedServers.rabbitAddr, sharedServers.rabbitEnv = "127.0.0.1:"+port, env
}

// Rabbitctl runs rabbitmqctl against the shared server.
func Rabbitctl(t testing.TB, args ...string) {
	t.Helper()
	c := exec.Command(FindProgram(t, "rabbitmqctl", "/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin"), args...)
	c.Env = append(os.Environ(), sharedServers.rabbitEnv...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("rabbitmqctl %q: %v\n%s", args, err, out)
	}
}

// A Proxy is a TCP proxy between a client and a server. It can close or freeze the
// connections.
type Proxy struct {
	l    net.Listener
	to   string
	work sync.WaitGroup

	mu     sync.Mutex
	down   bool
	conns  map[net.Conn]bool
	frozen chan struct{} // closed when Freeze ends; nil: not frozen
}

// NewProxy starts a Proxy in front of the server at to. If secure is given, clients
// connect to the Proxy through TLS.
func NewProxy(t testing.TB, to string, secure ...*tls.Config) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range secure {
		l = tls.NewListener(l, config)
	}
	c := &Proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.Freeze(false)
		c.SetDown(true)
		c.work.Wait()
	})
	return c
}

// Addr returns the address to which clients connect.
func (c *Proxy) Addr() string { return c.l.Addr().String() }

// SetDown closes all connections. While down is true, it also closes new ones.
func (c *Proxy) SetDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

// Freeze holds back all bytes and keeps the connections open. Freeze(false) lets the
// bytes pass again.
func (c *Proxy) Freeze(on bool) {
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

// copy copies bytes until one of the connections ends. It waits while the Proxy is frozen.
func (c *Proxy) copy(to io.Writer, from io.Reader) {
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

func (c *Proxy) accept() {
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
