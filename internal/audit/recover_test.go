package audit

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nearside/matcher/store"
)

// torn is an audit whose file a test cuts.
type torn struct {
	*bench
	dir     string
	data    []byte // the whole file
	ids     []string
	ends    []int // end of each line in data, without the newline
	head    []byte
	records []store.AuditRecord
	kept    int // lines that the stored head contains
}

// newTorn makes a number of writes and matches in turn, and keeps the head after some of them.
func newTorn(t *testing.T, requested, kept int) *torn {
	t.Helper()
	x := &torn{dir: t.TempDir(), kept: kept}
	x.bench = open(t, x.dir, &keeper{})
	for n := range requested {
		if n == kept {
			x.checkpoint()
			x.head, x.records, _ = x.keeper.AuditState(t.Context())
		}
		if n%2 == 0 {
			x.write(n)
		} else {
			x.match(n)
		}
	}
	_, x.records, _ = x.keeper.AuditState(t.Context())
	x.kill()
	x.data, _ = os.ReadFile(x.path)
	x.ids = requests(oracle(t, x.files()))
	for i, c := range x.data {
		if c == '\n' {
			x.ends = append(x.ends, i)
		}
	}
	if len(x.ids) != requested || len(x.ends) != requested || len(x.records) != (requested+1)/2-(kept+1)/2 {
		t.Fatal(x.ids, x.ends, len(x.records))
	}
	return x
}

// start writes a file and starts the audit with the state of the store.
func (x *torn) start(data []byte) (b *bench) {
	x.t.Helper()
	if err := os.WriteFile(x.path, data, 0o600); err != nil {
		x.t.Fatal(err)
	}
	k := &keeper{head: x.head, records: cloneRecords(x.records), commits: 100, starts: 1}
	return open(x.t, x.dir, k)
}

// wanted are the requests that the audit must have after a cut: the complete lines, and then
// the writes that they lack.
func (x *torn) wanted(cut int) (ids []string, complete int) {
	for i, end := range x.ends {
		if cut >= end {
			complete = i + 1
		}
	}
	ids = slices.Clone(x.ids[:complete])
	for _, id := range x.ids[complete:] {
		if strings.HasPrefix(id, "write") {
			ids = append(ids, id)
		}
	}
	return ids, complete
}

// TestTornAtEveryByte cuts the file at each byte. A start must keep every byte, add each
// write that is missing once, and leave a chain without a fault.
func TestTornAtEveryByte(t *testing.T) {
	for _, kept := range []int{0, 1} {
		x := newTorn(t, 3, kept)
		first := 0
		if kept > 0 {
			first = x.ends[kept-1]
		}
		for cut := first; cut <= len(x.data); cut++ {
			b := x.start(x.data[:cut])
			wanted, complete := x.wanted(cut)
			atEnd := cut == 0 || complete > 0 && cut-x.ends[complete-1] <= 1
			after, _ := os.ReadFile(x.path)
			lines := oracle(t, b.files())
			r := b.mustVerify()
			if got := requests(lines); !slices.Equal(got, wanted) || !bytes.HasPrefix(after, x.data[:cut]) || (r.Recoveries == 0) != atEnd || len(r.Warnings) > 0 {
				t.Fatalf("cut at %d of %d: %v, want %v, %d recoveries, %v\n%s", cut, len(x.data), got, wanted, r.Recoveries, r.Warnings, after)
			}
			if strings.Contains(b.text.String(), "level=ERROR") {
				t.Fatalf("cut at %d: %s", cut, b.text)
			}
			b.match(99)
			b.mustVerify()
			b.kill()
		}
	}
}

// TestTornTwice cuts the file that a start has repaired, again at each byte.
func TestTornTwice(t *testing.T) {
	x := newTorn(t, 3, 0)
	firstCut := x.ends[1] + 20
	b := x.start(x.data[:firstCut])
	b.kill()
	repaired, _ := os.ReadFile(x.path)
	for cut := firstCut; cut <= len(repaired); cut++ {
		b := x.start(repaired[:cut])
		wanted, _ := x.wanted(firstCut)
		if got := requests(oracle(t, b.files())); !slices.Equal(got, wanted) {
			t.Fatalf("cut at %d: %v, want %v", cut, got, wanted)
		}
		b.mustVerify()
		b.kill()
	}
}

// TestGarbage checks that other bytes at the end, which a power loss may leave, are kept.
func TestGarbage(t *testing.T) {
	x := newTorn(t, 6, 0)
	for _, garbage := range []string{"\n", "\n\n", "x", "x\n", "{\"seq\":7,\n{\"seq\":8,\n", string(make([]byte, 100_000)), strings.Repeat("y", 2*lineMax) + "\nz"} {
		b := x.start(append(slices.Clone(x.data), garbage...))
		r := b.mustVerify()
		if r.Recoveries != 1 || !slices.Equal(requests(oracle(t, b.files())), x.ids) {
			t.Errorf("%.20q: %+v", garbage, r)
		}
		b.kill()
	}
}

// TestCutBelowHead cuts lines that the store has seen. The start logs it, and the gap is found.
func TestCutBelowHead(t *testing.T) {
	x := newTorn(t, 3, 2)
	for cut := 0; cut < x.ends[1]; cut += 7 {
		b := x.start(x.data[:cut])
		b.match(9)
		head := b.Head()
		_, err := b.verify(&head)
		wantFault := cut >= x.ends[0] // otherwise, the audit begins with the lines after the head
		if (err != nil) != wantFault || !strings.Contains(b.text.String(), "lines of the audit are missing") {
			t.Fatalf("cut at %d: %v\n%s", cut, err, b.text)
		}
		b.kill()
	}
}

// TestStart checks what a start says about lines that were changed after the stored head.
func TestStart(t *testing.T) {
	x := newTorn(t, 6, 2)
	lines := bytes.SplitAfter(x.data, []byte("\n"))
	check := func(name, want string, data ...[]byte) {
		t.Helper()
		b := x.start(bytes.Join(data, nil))
		defer b.kill()
		if !strings.Contains(b.text.String(), want) {
			t.Errorf("%s: %s", name, b.text)
		}
		b.match(9)
		if _, err := b.verify(nil); err == nil {
			t.Errorf("%s: no fault is found", name)
		}
	}
	changed := bytes.Replace(lines[3], []byte("match-3"), []byte("match-8"), 1)
	check("changed", "the audit was changed", lines[0], lines[1], lines[2], changed, lines[4], lines[5])
	check("missing", "the audit was changed", lines[0], lines[1], lines[2], lines[4], lines[5])
	check("order", "the audit was changed", lines[0], lines[1], lines[3], lines[2], lines[4], lines[5])
	check("head", "", lines[0], lines[2], lines[3], lines[4], lines[5]) // only the verification reads older lines
	check("head and order", "the audit was changed", lines[0], lines[3], lines[2], lines[4], lines[5])
}

// TestSeek compares the bisection with a search from the beginning.
func TestSeek(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, &keeper{})
	defer b.kill()
	for n := range 700 {
		b.match(n)
		if n%50 == 0 {
			_, _ = b.file.Write(bytes.Repeat([]byte("torn "), n))
			_, _ = b.file.Write([]byte("\n"))
		}
	}
	data, _ := os.ReadFile(b.path)
	for seq := range uint64(710) {
		want := int64(bytes.Index(data, fmt.Appendf(nil, `{"seq":%d,`, max(seq, 1))))
		if want < 0 {
			want = int64(len(data))
		}
		if at, err := seek(bytes.NewReader(data), int64(len(data)), seq); at != want || err != nil {
			t.Fatalf("%d: %d, want %d, %v", seq, at, want, err)
		}
	}
}
