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

// driver is the program that lua5.1 runs. It reads programs from its input and writes
// the output of each program. The length of each program and of each output comes
// before it. If a program returns a function, the driver calls the function with the
// helpers. A program that runs for too long is ended: each further instruction fails,
// so pcall cannot keep it alive.
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
    -- A hook applies to one coroutine only.
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

// findReference returns the path of lua5.1. If lua5.1 is missing, it skips the test, or
// fails it if PEERS_STRICT is set, as in CI.
func findReference(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("lua5.1")
	if err == nil {
		return path
	}
	if os.Getenv("PEERS_STRICT") != "" {
		t.Fatal("lua5.1 is not installed, and PEERS_STRICT is set: install Debian's package lua5.1")
	}
	t.Skip("lua5.1 is not installed: install Debian's package lua5.1")
	return ""
}

// referenceOutputs is runReference, but handles programs that lua5.1 does not finish
// because one call of a library function takes too long. Their output is "limit".
func referenceOutputs(path string, programs []string) ([]string, error) {
	if results, err := runReference(path, programs); err == nil {
		return results, nil
	}
	results := make([]string, len(programs))
	failed := 0
	for i, p := range programs {
		output, err := runReference(path, []string{p})
		if err != nil {
			if failed++; failed > len(programs)/10 {
				return nil, err
			}
			output = []string{"limit"}
		}
		results[i] = output[0]
	}
	return results, nil
}

// runReference runs programs with lua5.1 and returns their outputs.
func runReference(path string, programs []string) ([]string, error) {
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

// tooMuchMemory is the output of a program that exceeds the allocation limit of a slice.
const tooMuchMemory = "allocates too much"

// runOurs runs a program with lua/vm and returns its output in the form of the driver.
func runOurs(source string) string { return runOursWith(helperScript, source) }

// exceedsMaxString reports whether a program exceeded MaxString, a limit that lua5.1
// does not have.
func exceedsMaxString(source string) bool {
	return strings.Contains(runOursWith(fullErrorScript, source), fmt.Sprintf("longer than the %d allowed", vm.MaxString))
}

// runOursWith is runOurs with other helpers.
func runOursWith(helpers *vm.Script, source string) string {
	script, err := vm.Compile("p", source, "none")
	if err != nil {
		return "refused: " + err.Error()
	}
	var lines []string
	s := library.NewState(context.Background(), vm.StateOptions{Print: func(line string) { lines = append(lines, line) }})
	err = runProgram(s, helpers, script)
	if closed := s.Close(context.Background()); closed != nil {
		return "not closed: " + closed.Error()
	}
	if errors.Is(err, vm.ErrSlice) || errors.Is(err, vm.ErrTimeout) {
		return "limit"
	}
	if errors.Is(err, vm.ErrAllocation) {
		return tooMuchMemory
	}
	if e, ok := errors.AsType[*vm.Error](err); ok {
		lines = append(lines, "error: "+errorShape(e))
	}
	return strings.Join(lines, "\n")
}

// helperScript returns a function that returns the helpers. The helpers of
// fullErrorScript print the full text of each error.
var (
	helperScript    = mustCompile("return function() " + helpers + " end")
	fullErrorScript = mustCompile("return function() " + strings.Replace(helpers, "function E(e) ", "function E(e) do return tostring(e) end ", 1) + " end")
)

func mustCompile(source string) *vm.Script {
	script, err := vm.Compile("helpers", source, "none")
	if err != nil {
		panic(err)
	}
	return script
}

// runProgram runs a program. If the program returns a function, it calls the function
// with the helpers.
func runProgram(s *vm.State, helpers, script *vm.Script) error {
	ctx, limits := context.Background(), vm.Limits{Slice: 20 * time.Second}
	_, value, err := s.Load(ctx, limits, script)
	program, ok := value.(*vm.Func)
	if err != nil || !ok {
		return err
	}
	_, value, err = s.Load(ctx, limits, helpers)
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

// errorShape returns the part of an uncaught error that must be equal in both
// interpreters.
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

// sameOutput reports whether two outputs are equal. The reasons of refusals may differ.
func sameOutput(got, want string) bool {
	if strings.HasPrefix(want, "refused: ") {
		return strings.HasPrefix(got, "refused: ")
	}
	return got == want || normalized(got) == normalized(want)
}

// mergedZeros reports whether the outputs differ only because lua5.1 merges the
// constants 0 and -0 of a function, so that it can print either of them as the other.
// If so, the outputs are equal when the program computes each 0 as #"".
func mergedZeros(path, p string) bool {
	computed := p
	for range 2 { // adjacent matches share the character between them
		computed = literalZero.ReplaceAllString(computed, `$1#""$2`)
	}
	want, err := runReference(path, []string{computed})
	return err == nil && !strings.HasPrefix(want[0], "refused: ") && sameOutput(runOurs(computed), want[0])
}

var literalZero = regexp.MustCompile(`([^\w.%])0([^\w.])`)

// normalized removes addresses, and the sign and the padding of NaN.
func normalized(s string) string {
	return nan.ReplaceAllString(addresses.ReplaceAllString(s, "$1"), "nan")
}

var nan = regexp.MustCompile(" *[-+]?nan *")

var addresses = regexp.MustCompile("(table|function|thread|userdata): (builtin: )?0x[0-9a-f]+")
