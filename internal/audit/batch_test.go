package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/matcher"
)

// TestConcurrentLines checks that concurrent lines, records and checkpoints make one chain
// over rotated files, and that a line is in a file when Add returns.
func TestConcurrentLines(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{}, func(s *Settings) { s.MaxBytes = 20_000 })
	defer b.kill()
	b.now = func() time.Time { return *b.clock } // clients read it at the same time
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for n := range 50 {
				if err := b.Add(&Entry{RequestID: fmt.Sprintf("match-%d-%d", c, n), Operation: "matchFaces"}, 201); err != nil {
					t.Error(err)
				}
				if lines := b.Head().Seq; lines < uint64(n+1) {
					t.Errorf("%d lines after %d of one client", lines, n+1)
				}
				if c == 0 && n%10 == 0 {
					b.write(n)
					b.checkpoint()
				}
			}
		})
	}
	clients.Wait()
	b.mustVerify()
	seen := map[string]int{}
	last := map[string]int{} // of each client
	for place, id := range requests(oracle(t, b.files())) {
		seen[id]++
		var c, n int
		if _, err := fmt.Sscanf(id, "match-%d-%d", &c, &n); err == nil {
			if want := last[strconv.Itoa(c)]; n != want {
				t.Errorf("line %d: %s, want number %d of the client", place+1, id, want)
			}
			last[strconv.Itoa(c)] = n + 1
		}
	}
	if len(seen) != 8*50+5 || b.Stats().Lines != int64(len(seen)) {
		t.Errorf("%d requests have lines, %d lines were counted, want %d", len(seen), b.Stats().Lines, 8*50+5)
	}
	if len(b.files()) < 3 {
		t.Errorf("%d files", len(b.files()))
	}
}

// TestBatch checks who writes the lines of a batch, and in which order.
func TestBatch(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	add := func(id string) (*batch, bool) {
		t.Helper()
		b.mu.Lock()
		defer b.mu.Unlock()
		x, leader, err := b.addToBatch(&Entry{RequestID: id, Operation: "matchFaces"}, 201)
		if err != nil {
			t.Fatal(err)
		}
		return x, leader
	}
	check := func(want ...string) {
		t.Helper()
		if got := requests(oracle(t, b.files())); !slices.Equal(got, want) {
			t.Errorf("lines of %v, want %v", got, want)
		}
	}
	first, leads := add("1")
	second, follows := add("2")
	if !leads || follows || first != second {
		t.Error("the first caller must lead a batch, and the second one must join it")
	}
	check() // nothing is written yet
	b.lead(first)
	<-second.done
	check("1", "2")

	third, _ := add("3")
	b.write(4) // a write comes behind the lines that wait
	<-third.done
	check("1", "2", "3", "write-4")
	b.lead(third) // there is nothing left to do
	check("1", "2", "3", "write-4")

	add("5")
	b.checkpoint()
	check("1", "2", "3", "write-4", "5")
	if got := string(b.keeper.head); got != b.Head().String() || b.Head().Seq != 5 {
		t.Errorf("the stored head is %s, want %s", got, b.Head())
	}
	b.mustVerify()
}

// TestBatchFails checks that all callers of a batch get the error if it cannot be written,
// and that the chain goes on without its lines.
func TestBatchFails(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	b.match(1)
	b.mu.Lock()
	x, _, _ := b.addToBatch(&Entry{RequestID: "2"}, 201)
	y, _, _ := b.addToBatch(&Entry{RequestID: "3"}, 201)
	b.mu.Unlock()
	_ = b.file.Close() // further writes fail
	b.lead(x)
	if <-y.done; x != y || matcher.CodeOf(x.err) != matcher.CodeFull {
		t.Errorf("error %v, want code %d", x.err, matcher.CodeFull)
	}
	if s := b.Stats(); s.Failures != 2 || s.Lines != 1 || !s.Failing || b.Head().Seq != 1 {
		t.Errorf("%+v, head %s", s, b.Head())
	}
	b.checkpoint() // the file is opened again
	b.match(4)
	b.mustVerify()
	if got := strings.Join(requests(oracle(t, b.files())), " "); got != "match-1 match-4" {
		t.Error(got)
	}
	b.kill()
}

// TestBatchIsBounded checks that a batch that becomes too large is written, whoever leads it.
func TestBatchIsBounded(t *testing.T) {
	b := open(t, t.TempDir(), &keeper{})
	defer b.kill()
	filter := []byte(`"` + strings.Repeat("x", FilterBytesMax-2) + `"`)
	var batches []*batch
	for n := range 40 {
		b.mu.Lock()
		x, _, err := b.addToBatch(&Entry{RequestID: strconv.Itoa(n), Filters: [][]byte{filter}}, 201)
		b.mu.Unlock()
		if err != nil || len(x.text) > batchBytes {
			t.Fatalf("%d bytes wait, %v", len(x.text), err)
		}
		batches = append(batches, x)
	}
	<-batches[0].done // nobody has led it
	b.lead(batches[39])
	if b.mustVerify().Lines != 40 {
		t.Error("lines are missing")
	}
}

// TestID compares the text of IDs with that of package matcher.
func TestID(t *testing.T) {
	id := matcher.ID{0, 0x1f, 0xa2, 3, 4, 0xf5, 6, 7, 0xff, 9, 10, 11, 0xc0, 13, 14, 0xed}
	if got := string(appendID(nil, id)); got != id.String() {
		t.Errorf("%s, want %s", got, id)
	}
}
