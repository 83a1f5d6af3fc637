package main

import (
	"strings"
	"testing"
)

// TestReport checks the text of events: results of packages, output of failed
// tests only, and skipped tests with their reasons.
func TestReport(t *testing.T) {
	const events = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"    a_test.go:5: noise\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"a","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"a","Test":"TestPart/small","Output":"=== RUN   TestPart/small\n"}
{"Action":"output","Package":"a","Test":"TestPart/small","Output":"    a_test.go:9: needs AVX-512: this CPU has none\n"}
{"Action":"output","Package":"a","Test":"TestPart/small","Output":"    --- SKIP: TestPart/small (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestPart/small","Elapsed":0}
{"Action":"output","Package":"a","Output":"printed by TestMain\n"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a","Elapsed":0.1}
{"ImportPath":"b [b.test]","Action":"build-output","Output":"# b\n"}
{"ImportPath":"b [b.test]","Action":"build-fail"}
{"Action":"output","Package":"b","Output":"FAIL\tb [build failed]\n"}
{"Action":"fail","Package":"b","Elapsed":0}
{"Action":"output","Package":"c","Output":"?   \tc\t[no test files]\n"}
{"Action":"skip","Package":"c","Elapsed":0}
{"Action":"output","Package":"d","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"d","Test":"TestBad","Output":"    d_test.go:7: got 1, want 2\n"}
{"Action":"output","Package":"d","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"d","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"d","Test":"TestPanic","Output":"=== RUN   TestPanic\n"}
{"Action":"output","Package":"d","Test":"TestPanic","Output":"panic: no\n"}
{"Action":"output","Package":"d","Output":"FAIL\td\t0.2s\n"}
{"Action":"fail","Package":"d","Elapsed":0.2}
not an event
`
	const want = `ok  	a	0.1s
# b
FAIL	b [build failed]
?   	c	[no test files]
    d_test.go:7: got 1, want 2
--- FAIL: TestBad (0.00s)
panic: no
FAIL	d	0.2s
not an event

1 skipped:
  a TestPart/small: needs AVX-512: this CPU has none
`
	var text strings.Builder
	r := newReport(&text, false)
	if err := r.readEvents(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	r.printSkipped()
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}

// TestVerboseReport checks that verbose output is complete and in order.
func TestVerboseReport(t *testing.T) {
	var text strings.Builder
	r := newReport(&text, true)
	err := r.readEvents(strings.NewReader(`{"Action":"output","Package":"a","Test":"T","Output":"=== RUN   T\n"}
{"Action":"output","Package":"a","Test":"T","Output":"--- PASS: T (0.00s)\n"}
{"Action":"pass","Package":"a","Test":"T"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := "=== RUN   T\n--- PASS: T (0.00s)\nok  \ta\t0.1s\n"; text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}
