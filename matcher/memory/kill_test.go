package memory

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("NEARSIDE_MEMORY_CHILD"); dir != "" {
		childMain(dir)
	}
	os.Exit(m.Run())
}

// The child writes and seals until it kills itself at a step of a sealing. It prints what
// it writes, before and after each write.

const (
	childWriters = 3
	childIDs     = 60
)

func childID(writer, i int) matcher.ID { return matcher.ID{byte(writer + 1), byte(i)} }

func childFace(w *world, writer, i, step int) *matcher.Object {
	x := w.face(nil, w.versions[3:6])
	x.ID, x.UserData = childID(writer, i), strconv.Itoa(step)
	x.Account = matcher.ID{} // always the same for an object, because a write cannot change the account
	if i%3 > 0 {
		x.Account[0] = byte(i % 3)
	}
	return x
}

func childMain(dir string) {
	w := newWorld(1)
	kill, seed := os.Getenv("NEARSIDE_MEMORY_KILL"), os.Getenv("NEARSIDE_MEMORY_SEED")
	base, _ := strconv.Atoi(seed)
	left := rand.New(rand.NewPCG(uint64(base), 1)).IntN(12)
	m, err := New(Options{Registry: w.registry, Kernel: simd.Kernels()[0], Workers: 1, chunkRows: 64, sealStep: func(step string) {
		if step != kill {
			return
		}
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	if err != nil {
		panic(err)
	}
	s, err := store.Open(context.Background(), store.Options{Dir: dir, Applier: m, Cache: m, SealAfter: 1, Warn: func(msg string, args ...any) {
		fmt.Printf("warning %s %v\n", msg, args)
	}})
	if err != nil {
		panic(err)
	}
	for writer := range childWriters {
		go func() {
			w := newWorld(uint64(base + writer))
			for step := base; ; step++ {
				i := w.IntN(childIDs)
				kind := "put"
				if w.IntN(3) == 0 {
					kind = "delete"
				}
				fmt.Printf("start %d %d %s %d\n", writer, i, kind, step)
				var err error
				if kind == "put" {
					_, err = s.PutObject(context.Background(), nil, childFace(w, writer, i, step))
				} else if err = s.DeleteObject(context.Background(), nil, matcher.Faces, childID(writer, i)); matcher.CodeOf(err) == matcher.CodeFaceNotFound {
					err = nil
				}
				if err != nil {
					panic(err)
				}
				fmt.Printf("done %d %d %s %d\n", writer, i, kind, step)
			}
		}()
	}
	select {}
}

// TestKilledWhileSealing kills a process between every two steps of a sealing, while it
// writes. The next start must lose nothing and need no warning, and the memory must equal
// the database.
func TestKilledWhileSealing(t *testing.T) {
	w := newWorld(1)
	dir := t.TempDir()
	texts := map[[2]int][]string{} // by writer and number: the texts that may be found; "": no object
	step, fast := 1, 0
	for round := range 2 {
		for k, kill := range []string{"segment", "header", "manifest", "rename", "sync", "clean", "sealed"} {
			for _, line := range runChild(t, dir, kill, step) {
				var what, kind string
				var writer, i, at int
				if _, err := fmt.Sscan(line, &what, &writer, &i, &kind, &at); err != nil || what == "warning" {
					t.Fatalf("round %d, kill at %s: the child says %q", round, kill, line)
				}
				text := strconv.Itoa(at)
				if kind == "delete" {
					text = ""
				}
				place := [2]int{writer, i}
				if texts[place] == nil {
					texts[place] = []string{""}
				}
				if step = max(step, at+1); what == "done" {
					texts[place] = []string{text}
				} else {
					texts[place] = append(texts[place], text)
				}
			}
			if (round+k)%2 == 0 && checkKilled(t, w, dir, texts) { // otherwise the journal grows over several rounds
				fast++
			}
		}
	}
	if fast < 3 {
		t.Errorf("only %d starts were from segments", fast)
	}
}

// checkKilled starts once from segments and once without, and compares both with each
// other and with what was written. It reports whether there were segments.
func checkKilled(t *testing.T, w *world, dir string, texts map[[2]int][]string) (fast bool) {
	t.Helper()
	read := func(cached bool) map[matcher.ID]matcher.Object {
		m := newMemory(t, w, simd.Kernels()[0], 1)
		o := store.Options{Dir: dir, Applier: m, SealAfter: 1 << 30, Warn: func(msg string, args ...any) { t.Error(msg, args) }}
		if cached {
			o.Cache = m
		}
		s, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		invariants(t, m)
		fast = fast || fromSegments(m)
		objects := map[matcher.ID]matcher.Object{}
		all, _, err := m.Page(t.Context(), matcher.Faces, &matcher.Filter{}, nil, matcher.Page{Size: 1 << 20, Descriptors: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range all {
			objects[x.ID] = x
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return objects
	}
	want, got := read(false), read(true)
	if len(got) != len(want) {
		t.Fatalf("%d objects, the database has %d", len(got), len(want))
	}
	for id, x := range want {
		if fmt.Sprintf("%+v", got[id]) != fmt.Sprintf("%+v", x) {
			t.Fatalf("%s:\n got %+v\nwant %+v", id, got[id], x)
		}
	}
	count := 0
	for place, maybe := range texts {
		x, ok := got[childID(place[0], place[1])]
		if ok {
			count++
		}
		if !slices.Contains(maybe, x.UserData) {
			t.Fatalf("writer %d, object %d: the text is %q, want one of %q", place[0], place[1], x.UserData, maybe)
		}
		texts[place] = []string{x.UserData}
	}
	if count != len(got) {
		t.Fatalf("%d objects are there, %d were written", len(got), count)
	}
	return fast
}

// runChild runs a child until it kills itself. It returns the complete lines that the
// child printed.
func runChild(t *testing.T, dir, kill string, step int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NEARSIDE_MEMORY_CHILD="+dir, "NEARSIDE_MEMORY_KILL="+kill, "NEARSIDE_MEMORY_SEED="+strconv.Itoa(step))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break // the kill cut a line without a line end
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if err := cmd.Wait(); !stuck.Stop() || !strings.Contains(fmt.Sprint(err), "killed") {
		t.Fatalf("the child was not killed by its own signal: %v", err)
	}
	return lines
}
