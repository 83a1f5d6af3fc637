package lua51_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"nearside/lua/vm"
)

// driver is what the reference interpreter runs: it reads programs from its
// input, each behind its length, and writes the output of each behind its
// length. A program that returns a function is that function, and gets the
// helpers. A program that runs for too long ends; each further instruction of
// it fails, so that no pcall keeps it alive.
const driver = `local helpers = loadstring([==[` + helpers + `]==], '=helpers')
local all = io.read('*a')
local write, at = io.write, 1
local lines, size, slow
local function shown(...)
  local o = {}
  for i = 1, select('#', ...) do o[i] = tostring((select(i, ...))) end
  local s = table.concat(o, '\t')
  size = size + #s + 1
  if size > 1e6 then slow = true error('too much output', 0) end
  lines[#lines + 1] = s
end
local names = {'assert', 'error', 'getmetatable', 'ipairs', 'next', 'pairs', 'pcall', 'rawequal', 'rawget', 'rawset',
  'select', 'setmetatable', 'tonumber', 'tostring', 'type', 'unpack', 'xpcall', 'math', 'string', 'table', 'coroutine', '_VERSION'}
local sethook, setfenv, loadstring, pcall, sub, tonumber = debug.sethook, setfenv, loadstring, pcall, string.sub, tonumber
local global = {}
for _, name in ipairs(names) do global[name] = _G[name] end
local known = setmetatable({print = shown}, {__index = global})
setfenv(helpers, known)
local show, E, tried, try = helpers()
while at <= #all do
  local stop = all:find('\n', at, true)
  local length = tonumber(sub(all, at, stop - 1))
  local source = sub(all, stop + 1, stop + length)
  at = stop + length + 1
  lines, size, slow = {}, 0, false
  local env = {}
  for k, v in next, global do env[k] = v end
  env.print = shown
  local f, e = loadstring(source, '=p')
  if not f then
    lines[1] = 'refused: ' .. e
  else
    setfenv(f, env)
    local function limit() slow = true sethook(limit, '', 1) error('limit', 0) end
    -- A hook holds for one coroutine.
    local function limited(f) return function(...) sethook(limit, '', 300000) return f(...) end end
    env.coroutine = {}
    for k, v in next, coroutine do env.coroutine[k] = v end
    env.coroutine.create = function(f) return coroutine.create(limited(f)) end
    env.coroutine.wrap = function(f) return coroutine.wrap(limited(f)) end
    local function run()
      local inner = f()
      if type(inner) == 'function' then inner(show, E, tried, try) end
    end
    local ok, e = coroutine.resume(coroutine.create(limited(run)))
    if slow then
      lines = {'limit'}
    elseif not ok then
      lines[#lines + 1] = 'error: ' .. (type(e) == 'string' and (e:find('E:', 1, true) and e or e:match('^p:%d+:') or '?') or type(e))
    end
  end
  local text = table.concat(lines, '\n')
  write(#text, '\n', text)
end
`

// find returns the path of the reference interpreter. Without it the test is
// skipped; CI sets PEERS_STRICT, and then it fails.
func find(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("lua5.1")
	if err == nil {
		return path
	}
	if os.Getenv("PEERS_STRICT") != "" {
		t.Fatal("lua5.1 is not installed (Debian's package lua5.1), and PEERS_STRICT is set")
	}
	t.Skip("lua5.1 is not installed (Debian's package lua5.1): nothing to compare with")
	return ""
}

// references is reference for many programs. One that the reference does not
// finish, because it works for long within one of its functions, counts as
// too slow.
func references(path string, programs []string) ([]string, error) {
	if results, err := reference(path, programs); err == nil {
		return results, nil
	}
	results := make([]string, len(programs))
	failed := 0
	for i, p := range programs {
		one, err := reference(path, []string{p})
		if err != nil {
			if failed++; failed > len(programs)/10 {
				return nil, err
			}
			one = []string{"limit"}
		}
		results[i] = one[0]
	}
	return results, nil
}

// reference runs programs and returns the output of each.
func reference(path string, programs []string) ([]string, error) {
	var in bytes.Buffer
	for _, p := range programs {
		fmt.Fprintf(&in, "%d\n%s", len(p), p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-e", driver)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	results := make([]string, len(programs))
	for i := range results {
		head, rest, ok := bytes.Cut(out, []byte("\n"))
		n := 0
		if _, err := fmt.Sscanf(string(head), "%d", &n); !ok || err != nil || n > len(rest) {
			return nil, fmt.Errorf("%s: the output of program %d of %d is damaged", path, i, len(results))
		}
		results[i], out = string(rest[:n]), rest[n:]
	}
	return results, nil
}

var library = vm.NewLibrary("none")

// tooMuch is the output of a program that allocates more than a plugin may.
const tooMuch = "allocates too much"

// ours runs a program and returns its output in the form of the driver.
func ours(source string) string {
	script, err := vm.Compile("p", source, "none")
	if err != nil {
		return "refused: " + err.Error()
	}
	var lines []string
	s := library.NewState(context.Background(), vm.StateOptions{Print: func(line string) { lines = append(lines, line) }})
	err = run(s, script)
	if closed := s.Close(context.Background()); closed != nil {
		return "not closed: " + closed.Error()
	}
	if errors.Is(err, vm.ErrSlice) || errors.Is(err, vm.ErrTimeout) {
		return "limit"
	}
	if errors.Is(err, vm.ErrAllocation) {
		return tooMuch
	}
	if e, ok := errors.AsType[*vm.Error](err); ok {
		lines = append(lines, "error: "+errorShape(e))
	}
	return strings.Join(lines, "\n")
}

// helperScript returns a function that returns the helpers.
var helperScript = func() *vm.Script {
	script, err := vm.Compile("helpers", "return function() "+helpers+" end", "none")
	if err != nil {
		panic(err)
	}
	return script
}()

// run runs a program; if it returns a function, that is the program.
func run(s *vm.State, script *vm.Script) error {
	ctx, limits := context.Background(), vm.Limits{Slice: 20 * time.Second}
	_, value, err := s.Load(ctx, limits, script)
	program, ok := value.(*vm.Func)
	if err != nil || !ok {
		return err
	}
	_, value, err = s.Load(ctx, limits, helperScript)
	if err != nil {
		return err
	}
	args, err := s.Call(ctx, limits, value.(*vm.Func))
	if err != nil {
		return err
	}
	_, err = s.Call(ctx, limits, program, args...)
	return err
}

// errorShape is what must agree of an error that nobody caught.
func errorShape(e *vm.Error) string {
	if e.Value != nil {
		return "table"
	}
	if strings.Contains(e.Message, "E:") {
		return e.Message
	}
	var line int
	if _, err := fmt.Sscanf(e.Message, "p:%d:", &line); err == nil {
		return fmt.Sprintf("p:%d:", line)
	}
	return "?"
}

// agree compares two outputs: of a refusal, only that there is one.
func agree(got, want string) bool {
	if strings.HasPrefix(want, "refused: ") {
		return strings.HasPrefix(got, "refused: ")
	}
	return got == want || plain(got) == plain(want)
}

// plain leaves out addresses and the sign of NaN, with the spaces that pad it.
func plain(s string) string {
	return nan.ReplaceAllString(addresses.ReplaceAllString(s, "$1"), "nan")
}

var nan = regexp.MustCompile(" *[-+]?nan *")

var addresses = regexp.MustCompile("(table|function|thread|userdata): (builtin: )?0x[0-9a-f]+")
