// Package process runs a nearside server as a separate process, for programs that
// measure or demonstrate it from outside.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	URL     string // http://127.0.0.1:PORT or https://127.0.0.1:PORT, without a path
	command *exec.Cmd
}

// tick is the unit of processor times in /proc. On all architectures that Go supports,
// Linux reports 100 ticks per second to programs.
const tick = 10 * time.Millisecond

var listening = regexp.MustCompile(`listening on (https?://[0-9.:]+)`)

// Start starts a server on a free port of the loopback interface and waits until
// it accepts requests. The server is killed when ctx ends. binary is the
// program, config the path of its configuration file, dataDir its data directory.
func Start(ctx context.Context, binary, config, dataDir string) (*Server, error) {
	s := &Server{command: exec.CommandContext(ctx, binary, "serve", "--config", config, "--listen", "127.0.0.1:0", "--data-dir", dataDir)}
	log, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w; run make build", binary, err)
	}
	var output bytes.Buffer
	for lines := bufio.NewScanner(io.TeeReader(log, &output)); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			s.URL = m[1]
			go io.Copy(io.Discard, log) //nolint:errcheck // ends with the process
			return s, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s did not start:\n%s", binary, output.String()), s.command.Wait())
}

// Address returns HOST:PORT of the server.
func (s *Server) Address() string {
	_, address, _ := strings.Cut(s.URL, "://")
	return address
}

// Stop sends SIGTERM and waits until the server has stopped.
func (s *Server) Stop() error {
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.command.Wait(); err != nil {
		return fmt.Errorf("the server did not stop cleanly: %w", err)
	}
	return nil
}

// Kill ends the server with SIGKILL, unless it has ended already. It does nothing for a
// nil Server.
func (s *Server) Kill() {
	if s != nil && s.command.ProcessState == nil {
		_ = s.command.Process.Kill() // fails if the process has ended already
		_ = s.command.Wait()
	}
}

// Signal sends a signal to the server.
func (s *Server) Signal(signal os.Signal) error { return s.command.Process.Signal(signal) }

// ResidentBytes returns the resident memory of the server in bytes.
func (s *Server) ResidentBytes() (int64, error) {
	fields, err := s.procFields("statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// ProcessorTime returns the processor time that all threads of the server have used.
func (s *Server) ProcessorTime() (time.Duration, error) {
	fields, err := s.procFields("stat")
	if err != nil {
		return 0, err
	}
	user, err := strconv.Atoi(fields[13])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[14])
	return time.Duration(user+system) * tick, err
}

// procFields returns the fields of a file of the process in /proc. The name of the program is
// one field, even if it contains spaces.
func (s *Server) procFields(name string) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.command.Process.Pid, name))
	if err != nil {
		return nil, err
	}
	before, after := "", string(text)
	if end := strings.LastIndex(after, ")"); end >= 0 {
		before, after = after[:end+1], after[end+1:]
	}
	fields := strings.Fields(after)
	if pid, program, found := strings.Cut(before, " "); found {
		fields = append([]string{pid, program}, fields...)
	}
	return fields, nil
}
