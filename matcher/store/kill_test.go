package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// The child process writes with several goroutines, each to its own IDs, until it is
// killed. It prints "start" before each step and "done" after it. A step is a put with
// its number as text, a delete, or an import that is written as a table.

const (
	childWriters = 6
	childIDs     = 20
	importRows   = 200
)

// childID returns the n-th ID of writer w. IDs from childIDs on are used by imports.
func childID(w, n int) matcher.ID {
	var id matcher.ID
	id[0], id[14], id[15] = byte(w+1), byte(n>>8), byte(n)
	return id
}

func childMain(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Applier: newModel(), tableBytes: importRows * 512})
	if err != nil {
		fmt.Println("fault", err)
		os.Exit(1)
	}
	base, _ := strconv.Atoi(os.Getenv("NEARSIDE_STORE_STEP"))
	var mu sync.Mutex // keeps lines whole; stdout is not buffered
	printLine := func(args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(args...)
	}
	for w := range childWriters {
		go func() {
			rng := rand.New(rand.NewPCG(uint64(base), uint64(w)))
			for step := base; ; step++ {
				n, kind := rng.IntN(childIDs), "put"
				switch rng.IntN(10) {
				case 0, 1, 2:
					kind = "delete"
				case 3:
					kind, n = "import", childIDs
				}
				printLine("start", w, n, kind, step)
				if err := childStep(s, w, n, kind, step); err != nil {
					printLine("fault", err)
				}
				printLine("done", w, n, kind, step)
			}
		}()
	}
	select {}
}

// childOrigin returns the origin of the objects of a place. All objects of an import have
// the same origin.
func childOrigin(w, n int) matcher.Origin {
	if n < childIDs {
		return matcher.Origin(n) % matcher.Origins
	}
	return matcher.Origin(w) % 2 // faces or events
}

// childStep runs one step of writer w.
func childStep(s *Store, w, n int, kind string, step int) error {
	object := func(n int) *matcher.Object {
		o := face(rand.New(rand.NewPCG(uint64(step), uint64(w))), childID(w, n))
		o.CreateTime = matcher.Time(step)
		switch text := strconv.Itoa(step); childOrigin(w, n) {
		case matcher.Faces:
			o.UserData = text
		case matcher.Events:
			o.UserData = text
			o.Event = &matcher.Event{Source: text, Tags: []string{"a", text}}
		case matcher.Attributes:
			o.Expires = matcher.Time(1<<42 + step)
		}
		o.Origin = childOrigin(w, n)
		return o
	}
	origin := childOrigin(w, n)
	switch kind {
	case "delete":
		err := s.DeleteObject(context.Background(), nil, origin, childID(w, n))
		if matcher.CodeOf(err) == origin.NotFound(matcher.ID{}).Code {
			return nil
		}
		return err
	case "import":
		lines := make([]ImportLine, importRows)
		for i := range lines {
			lines[i] = ImportLine{Object: object(n + i)}
			if origin == matcher.Faces {
				lines[i].AddList = childID(w, 0)
			}
		}
		for _, err := range s.Import(context.Background(), nil, lines) {
			if err != nil {
				return err
			}
		}
		return nil
	default:
		_, err := s.PutObject(context.Background(), nil, object(n))
		return err
	}
}

// placeState is the state of one place as the parent knows it. A place is one ID, or all
// IDs of an import.
type placeState struct {
	text   string // last acknowledged text; "" if there is no object
	maybe  string // text of the last step that was started
	unsure bool   // that step was not acknowledged
}

// TestKilledWhileWriting kills a process that writes. The next Open must find every
// acknowledged write, may find writes that were started, and must not find a part of an
// import.
func TestKilledWhileWriting(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	places := map[[2]int]*placeState{} // by writer and ID
	rng := seeded()
	step, acked := 1, 0
	rounds := 8
	if testing.Short() {
		rounds = 4
	}
	for range rounds {
		out := killChild(t, dir, step, rng.IntN(400)+1)
		for _, line := range out {
			var what, kind string
			var w, n, at int
			if _, err := fmt.Sscan(line, &what, &w, &n, &kind, &at); err != nil || what == "fault" {
				t.Fatalf("unexpected output of the child: %q", line)
			}
			p := places[[2]int{w, n}]
			if p == nil {
				p = &placeState{}
				places[[2]int{w, n}] = p
			}
			text := strconv.Itoa(at)
			if kind == "delete" {
				text = ""
			}
			p.maybe, p.unsure = text, what == "start"
			if !p.unsure {
				p.text = text
				acked++
			}
			step = max(step, at+1)
		}
		checkKilled(t, dir, places)
	}
	t.Logf("%d writes were acknowledged", acked)
}

// killChild runs a child, kills it after it printed acks acknowledgements, and returns
// the complete lines of its output.
func killChild(t *testing.T, dir string, step, acks int) (lines []string) {
	t.Helper()
	lines = runChild(t, dir, step, func(line string) bool {
		if strings.HasPrefix(line, "done") {
			acks--
		}
		return acks == 0
	})
	if acks > 0 {
		t.Fatalf("the child ended before it was killed: %v", lines)
	}
	return lines
}

// childOutput runs a child that ends by itself and returns its output.
func childOutput(t *testing.T, dir string) []string {
	t.Helper()
	return runChild(t, dir, 1, func(string) bool { return false })
}

// runChild runs a child and kills it when kill returns true for a line of its output. It
// returns all complete lines, including those printed after that line.
func runChild(t *testing.T, dir string, step int, kill func(line string) bool) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NEARSIDE_STORE_CHILD="+dir, "NEARSIDE_STORE_STEP="+strconv.Itoa(step))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	testkit.Check(t, err)
	testkit.Check(t, cmd.Start())
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	r := bufio.NewReader(out)
	killed := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break // end of the output; the kill may have cut the last line
		}
		line = strings.TrimSpace(line)
		lines = append(lines, line)
		if !killed && kill(line) {
			killed = true
			testkit.Check(t, cmd.Process.Kill()) // SIGKILL; the rest of the pipe is still read
		}
	}
	_ = cmd.Wait() // the caller checks the lines, not the exit status
	return lines
}

// checkKilled opens the directory and compares it with places. Then it sets places to the
// state that it found.
func checkKilled(t *testing.T, dir string, places map[[2]int]*placeState) {
	t.Helper()
	m := newModel()
	s, err := Open(ctx, Options{Dir: dir, Applier: m})
	testkit.Check(t, err)
	testkit.Check(t, s.Close())
	count := 0
	for at, p := range places {
		rows := 1
		if at[1] == childIDs {
			rows = importRows
		}
		got := ""
		for i := range rows {
			text := ""
			if o := m.object(childOrigin(at[0], at[1]), childID(at[0], at[1]+i)); o != nil {
				text = strconv.Itoa(int(o.CreateTime))
				count++
				lost := o.UserData != text
				switch o.Origin {
				case matcher.Events:
					lost = lost || o.Event == nil || o.Event.Source != text || len(o.Event.Tags) != 2
				case matcher.Attributes:
					lost = o.Expires != 1<<42+o.CreateTime
				}
				if lost {
					t.Errorf("%s %s lost fields: %+v", o.Origin.Singular(), o.ID, o)
				}
			}
			if i > 0 && text != got {
				t.Fatalf("an import of writer %d is stored in part: %q and %q", at[0], got, text)
			}
			got = text
		}
		if got != p.text && (!p.unsure || got != p.maybe) {
			t.Errorf("writer %d, ID %d: found %q; %q was acknowledged, then %q was started: %v", at[0], at[1], got, p.text, p.maybe, p.unsure)
		}
		p.text, p.unsure = got, false
	}
	if count != len(m.objects) {
		t.Errorf("%d objects were found that no writer wrote", len(m.objects)-count)
	}
}
