package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// redisEntries is the number of entries of a measurement of redis_ingest.
const redisEntries = 50_000

// luaRedisSection measures the shipped plugin redis_ingest with a real server. The entries
// are in the stream before the plugin starts.
func (s *suite) luaRedisSection() error {
	if s.skipWithoutServer("lua-redis") {
		return nil
	}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		s.skipBars("redis-server is not installed", "lua-redis")
		return nil
	}
	entries := min(redisEntries, s.size.rows)
	d, err := s.dataset(synth.Faces, u8x512, entries)
	if err != nil {
		return err
	}
	var rates []float64
	for range 3 {
		rate, err := s.ingestOnce(program, d, entries)
		if err != nil {
			return fmt.Errorf("redis_ingest: %w", err)
		}
		rates = append(rates, rate)
	}
	s.recordBar("lua-redis", stat.Summarize(rates), fmt.Sprintf("%d entries, Redis on the same cores", entries))
	return nil
}

// ingestOnce starts Redis and a server, and returns the entries per second from the start of
// the plugin until all entries are acknowledged.
func (s *suite) ingestOnce(program string, d *dataset, entries int) (rate float64, err error) {
	address, stop, err := s.startRedis(program)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := fillStream(address, d, entries); err != nil {
		return 0, err
	}
	v, err := s.startService("redis", "")
	if err != nil {
		return 0, err
	}
	defer func() {
		v.Kill()
		err = errors.Join(err, os.RemoveAll(v.dir))
	}()
	settings := fmt.Sprintf("redis_ingest: {url: %q, list_id: %q}", "redis://"+address, matcher.NewID())
	begin := time.Now()
	if err := v.activate(settings, "redis_ingest"); err != nil {
		return 0, err
	}
	for s.ctx.Err() == nil {
		all, err := v.plugins()
		if err != nil {
			return 0, err
		}
		acked, failed := 0, 0
		for _, c := range all[0].Consumers {
			acked, failed = acked+c.Acked, failed+c.Retried+c.Dead
		}
		switch {
		case failed > 0:
			return 0, fmt.Errorf("%d entries failed, want 0: %s", failed, all[0].LastError)
		case acked == entries:
			return float64(entries) / time.Since(begin).Seconds(), nil
		case time.Since(begin) > 2*time.Minute:
			return 0, fmt.Errorf("%d of %d entries are acknowledged after two minutes: %s", acked, entries, all[0].LastError)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, s.ctx.Err()
}

// startRedis starts a Redis server without persistence. stop ends it.
func (s *suite) startRedis(program string) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	c := exec.CommandContext(s.ctx, program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", filepath.Clean(s.dir))
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = c.Process.Kill() // fails if the process has ended already
		_ = c.Wait()
	}
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return address, stop, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("redis-server does not listen after ten seconds")
}

// fillStream adds faces with descriptors to the stream "faces".
func fillStream(address string, d *dataset, entries int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // all answers were read
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(conn, 1<<16)
		var face []byte
		for i := range entries {
			o := matcher.Object{Origin: matcher.Faces, ID: idOf(i)}
			o.Descriptors[d.version.Type] = matcher.Descriptor{Version: d.version.Number, Data: d.row(i)}
			face = wire.AppendLine(face[:0], &o, nil, wire.BinaryDescriptors)
			_, _ = io.WriteString(w, redisCommand("XADD", "faces", "*", "face", string(face))) // Flush returns its errors
		}
		sent <- w.Flush()
	}()
	answers := bufio.NewScanner(conn)
	for n := 0; n < entries && answers.Scan(); {
		switch line := answers.Text(); {
		case strings.HasPrefix(line, "-"):
			return fmt.Errorf("redis-server: %s", line[1:])
		case !strings.HasPrefix(line, "$"): // an ID after its length
			n++
		}
	}
	return errors.Join(<-sent, answers.Err())
}

// redisCommand returns a command in the protocol of Redis.
func redisCommand(words ...string) string {
	var text strings.Builder
	text.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
	for _, word := range words {
		text.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n")
	}
	return text.String()
}
