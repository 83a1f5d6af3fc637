package matcher_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

func TestParseTime(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		got, err := matcher.ParseTime(in)
		if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
		if again, err := matcher.ParseTime(got.String()); err != nil || again != got {
			t.Errorf("%q: String is read as %v, %v", in, again, err)
		}
		if s := string(got.AppendTo([]byte("x"))); s != "x"+want {
			t.Errorf("%q: AppendTo gives %s", in, s)
		}
	}
	good("2026-05-01T00:00:00Z", "2026-05-01T00:00:00.000Z")
	good("2026-05-01T02:30:00+02:30", "2026-05-01T00:00:00.000Z")
	good("2026-04-30T19:00:00.5-05:00", "2026-05-01T00:00:00.500Z")
	good("2026-05-01T00:00:00.123999999Z", "2026-05-01T00:00:00.123Z") // cut, not rounded
	good("2026-05-01T00:00:00.9999Z", "2026-05-01T00:00:00.999Z")
	good("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z") // cut, not rounded, before 1970
	good("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z")
	good("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z")
	good("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z")
	good("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z")
	good("9999-12-31T23:59:59.9999+00:00", "9999-12-31T23:59:59.999Z")
	good("2024-03-01t00:00:00z", "2024-03-01T00:00:00.000Z")
	good("2024-03-01T00:00:00z", "2024-03-01T00:00:00.000Z")
	good("2024-03-01t00:00:00.25+01:00", "2024-02-29T23:00:00.250Z")
	good("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z")
	good("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999Z") // the example of RFC 3339
	good("2015-07-01t05:29:60.75+05:30", "2015-06-30T23:59:59.999Z")
	good("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999Z")

	bad := func(in string) {
		t.Helper()
		if got, err := matcher.ParseTime(in); err == nil {
			t.Errorf("%q: %v", in, got)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
	bad("9999-12-31T23:59:59-01:00") // year 10000 in UTC
	bad("9999-12-31T23:59:60-01:00")
	bad("0000-01-01T00:00:00+01:00") // year -1 in UTC
	bad("2016-12-31T23:59:61Z")
	bad("2016-12-31T22:59:60Z") // not at the end of a day
	bad("2016-12-30T23:59:60Z") // not at the end of a month
	bad("2016-12-31T23:60:00Z")
	bad("2024-03-01x00:00:00z")
	bad("")
	bad("2026-05-01")
	bad("2026-05-01T00:00:00") // no zone
	bad("2026-05-01 00:00:00Z")
	bad("2026-02-29T00:00:00Z")
	bad("2026-13-01T00:00:00Z")
	bad("2026-05-01T24:00:00Z")
	bad("2026-05-01T00:00:00,5Z")    // a comma
	bad("2026-05-01T1:00:00Z")       // one digit
	bad("2026-05-01T00:00:00+24:00") // no such zone
	bad("12026-05-01T00:00:00Z")     // five digits
	bad("-026-05-01T00:00:00Z")      // before year 0
	bad("2026-05-01T00:00:00Z\x00")  // one byte too many
	bad("1777593600")                // Unix time
	bad("now-1d")                    // allowed only in filters
	bad(strings.Repeat("9", 1<<20))  // long
	bad("2026-05-01T00:00:00.Z")     // a point without digits
	bad("2026-05-01T00:00:00.12.3Z") // two points
	bad("２０２６-05-01T00:00:00Z")      // digits of another script
}

func TestParseFilterTime(t *testing.T) {
	zone := time.FixedZone("", 3*3600)
	now := time.Date(2026, 3, 31, 12, 30, 45, 123_456_789, zone) // 09:30:45.123 in UTC
	good := func(in, want string) {
		t.Helper()
		got, err := matcher.ParseFilterTime(in, now)
		if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
	good("now-0s", "2026-03-31T09:30:45.123Z")
	good("now-1s", "2026-03-31T09:30:44.123Z")
	good("now-1m", "2026-03-31T09:29:45.123Z")
	good("now-10h", "2026-03-30T23:30:45.123Z")
	good("now-1d", "2026-03-30T09:30:45.123Z")
	good("now-1w", "2026-03-24T09:30:45.123Z")
	good("now-1M", "2026-02-28T09:30:45.123Z") // there is no 31 February
	good("now-3M", "2025-12-31T09:30:45.123Z")
	good("now-13M", "2025-02-28T09:30:45.123Z")
	good("now-25M", "2024-02-29T09:30:45.123Z") // a leap year
	good("now-0M", "2026-03-31T09:30:45.123Z")
	good("now-1y", "2025-03-31T09:30:45.123Z")
	good("now-2000y", "0026-03-31T09:30:45.123Z")
	good("2026-05-01T00:00:00Z", "2026-05-01T00:00:00.000Z")

	now = time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	good("now-1y", "2023-02-28T00:00:00.000Z")
	good("now-4y", "2020-02-29T00:00:00.000Z")

	bad := func(in string) {
		t.Helper()
		if got, err := matcher.ParseFilterTime(in, now); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
	bad("now")
	bad("now-")
	bad("now-5")
	bad("now-d")
	bad("now+1d")
	bad("now--1d")
	bad("now-1D")
	bad("now-1d ")
	bad("now-1.5h")
	bad("now-1d\n")
	bad("Now-1d")
	bad("now-1000000000s") // ten digits
}

// TestFilterTimeFarBack: no number of units wraps around to a time that an
// object can have.
func TestFilterTimeFarBack(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	oldest, err := matcher.ParseTime("0000-01-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range "dwMy" {
		for _, n := range []string{"999999999", "300000000", "83333333", "9999999"} {
			got, err := matcher.ParseFilterTime("now-"+n+string(unit), now)
			if err != nil || got >= oldest {
				t.Errorf("now-%s%c: %d, %v", n, unit, got, err)
			}
		}
	}
}

func ExampleParseFilterTime() {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	t, err := matcher.ParseFilterTime("now-1M", now)
	fmt.Println(t, err)
	// Output: 2026-02-28T12:00:00.000Z <nil>
}
