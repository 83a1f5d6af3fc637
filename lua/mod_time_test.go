package lua

import (
	"fmt"
	"strings"
	"testing"
)

// TestTimeFormat compares with texts that Python has made.
func TestTimeFormat(t *testing.T) {
	f := moduleTest(t)
	for _, v := range []struct {
		at         float64
		zone, want string
	}{
		{0, "UTC", "1970-01-01 00:00:00.000000 Thu Thursday Jan January 001 70 12 AM +0000 UTC"},
		{951782400.25, "UTC", "2000-02-29 00:00:00.250000 Tue Tuesday Feb February 060 00 12 AM +0000 UTC"},
		{1774746000, "UTC", "2026-03-29 01:00:00.000000 Sun Sunday Mar March 088 26 01 AM +0000 UTC"},
		{1792890000, "UTC", "2026-10-25 01:00:00.000000 Sun Sunday Oct October 298 26 01 AM +0000 UTC"},
		{1792893600.5, "UTC", "2026-10-25 02:00:00.500000 Sun Sunday Oct October 298 26 02 AM +0000 UTC"},
		{4102444799, "UTC", "2099-12-31 23:59:59.000000 Thu Thursday Dec December 365 99 11 PM +0000 UTC"},
		{-62135596800, "UTC", "0001-01-01 00:00:00.000000 Mon Monday Jan January 001 01 12 AM +0000 UTC"},
		{0, "Europe/Berlin", "1970-01-01 01:00:00.000000 Thu Thursday Jan January 001 70 01 AM +0100 CET"},
		{951782400.25, "Europe/Berlin", "2000-02-29 01:00:00.250000 Tue Tuesday Feb February 060 00 01 AM +0100 CET"},
		{1774746000, "Europe/Berlin", "2026-03-29 03:00:00.000000 Sun Sunday Mar March 088 26 03 AM +0200 CEST"},
		{1792890000, "Europe/Berlin", "2026-10-25 02:00:00.000000 Sun Sunday Oct October 298 26 02 AM +0100 CET"},
		{1792893600.5, "Europe/Berlin", "2026-10-25 03:00:00.500000 Sun Sunday Oct October 298 26 03 AM +0100 CET"},
		{4102444799, "Europe/Berlin", "2100-01-01 00:59:59.000000 Fri Friday Jan January 001 00 12 AM +0100 CET"},
		{0, "Asia/Kolkata", "1970-01-01 05:30:00.000000 Thu Thursday Jan January 001 70 05 AM +0530 IST"},
		{951782400.25, "Asia/Kolkata", "2000-02-29 05:30:00.250000 Tue Tuesday Feb February 060 00 05 AM +0530 IST"},
		{1774746000, "Asia/Kolkata", "2026-03-29 06:30:00.000000 Sun Sunday Mar March 088 26 06 AM +0530 IST"},
		{1792890000, "Asia/Kolkata", "2026-10-25 06:30:00.000000 Sun Sunday Oct October 298 26 06 AM +0530 IST"},
		{1792893600.5, "Asia/Kolkata", "2026-10-25 07:30:00.500000 Sun Sunday Oct October 298 26 07 AM +0530 IST"},
		{4102444799, "Asia/Kolkata", "2100-01-01 05:29:59.000000 Fri Friday Jan January 001 00 05 AM +0530 IST"},
		{0, "America/New_York", "1969-12-31 19:00:00.000000 Wed Wednesday Dec December 365 69 07 PM -0500 EST"},
		{951782400.25, "America/New_York", "2000-02-28 19:00:00.250000 Mon Monday Feb February 059 00 07 PM -0500 EST"},
		{1774746000, "America/New_York", "2026-03-28 21:00:00.000000 Sat Saturday Mar March 087 26 09 PM -0400 EDT"},
		{1792890000, "America/New_York", "2026-10-24 21:00:00.000000 Sat Saturday Oct October 297 26 09 PM -0400 EDT"},
		{1792893600.5, "America/New_York", "2026-10-24 22:00:00.500000 Sat Saturday Oct October 297 26 10 PM -0400 EDT"},
		{4102444799, "America/New_York", "2099-12-31 18:59:59.000000 Thu Thursday Dec December 365 99 06 PM -0500 EST"},
		{0, "Australia/Lord_Howe", "1970-01-01 10:00:00.000000 Thu Thursday Jan January 001 70 10 AM +1000 AEST"},
		{951782400.25, "Australia/Lord_Howe", "2000-02-29 11:00:00.250000 Tue Tuesday Feb February 060 00 11 AM +1100 +11"},
		{1774746000, "Australia/Lord_Howe", "2026-03-29 12:00:00.000000 Sun Sunday Mar March 088 26 12 PM +1100 +11"},
		{1792890000, "Australia/Lord_Howe", "2026-10-25 12:00:00.000000 Sun Sunday Oct October 298 26 12 PM +1100 +11"},
		{1792893600.5, "Australia/Lord_Howe", "2026-10-25 13:00:00.500000 Sun Sunday Oct October 298 26 01 PM +1100 +11"},
		{4102444799, "Australia/Lord_Howe", "2100-01-01 10:59:59.000000 Fri Friday Jan January 001 00 10 AM +1100 +11"},
	} {
		at := fmt.Sprintf("%f", v.at)
		f(fmt.Sprintf(`return ns.time.format(%s, "%%Y-%%m-%%d %%H:%%M:%%S.%%f %%a %%A %%b %%B %%j %%y %%I %%p %%z %%Z", %q)`, at, v.zone), v.want)
		numbers := strings.Fields(v.want)
		f(fmt.Sprintf(`return ns.time.format(%s, "%%F %%T.%%f", %q)`, at, v.zone), numbers[0]+" "+numbers[1])
		// The text with an offset is the same moment again.
		f(fmt.Sprintf(`return ns.time.parse(ns.time.format(%s, "%%d.%%m.%%Y %%I:%%M:%%S %%p%%f%%z", %q), "%%d.%%m.%%Y %%I:%%M:%%S %%p%%f%%z") == %s`, at, v.zone, at), "true")
		f(fmt.Sprintf(`return ns.time.parse(ns.time.format(%s, nil, %q)) == %s`, at, v.zone, at), "true")
	}
	f(`return ns.time.format(1774746000.5)`, "2026-03-29T01:00:00.5Z")
	f(`return ns.time.format(1774746000, "rfc3339", "Asia/Kolkata")`, "2026-03-29T06:30:00+05:30")
	f(`return ns.time.format(1774746000, "rfc1123", "Asia/Kolkata")`, "Sun, 29 Mar 2026 01:00:00 GMT")
	f(`return ns.time.format(1774746000.0625, "%L|%s|%e|%%")`, "062|1774746000|29|%")
	f(`return ns.time.format(-0.25)`, "1969-12-31T23:59:59.75Z")
	f(`return ns.time.format(1.1)`, "1970-01-01T00:00:01.1Z")
	f(`return ns.time.format(1e12)`, "error the time 1e+12 is not within the years 0 to 9999")
	f(`return ns.time.format(253402300799, "%Y", "Asia/Kolkata")`, "error is not within the years")
	f(`return ns.time.format(0/0)`, "error is not within the years")
	f(`return ns.time.format(0, "%Y", "Europe/Berln")`, `error zone: "Europe/Berln" is unknown`)
	f(`return ns.time.format(0, "%Y", "../etc/passwd")`, "error is unknown")
	f(`return ns.time.format(0, "%Y", "")`, "error is unknown")
	f(`return ns.time.format(0, "%Q")`, "error layout: %Q is not one of %Y %y %m")
	f(`return ns.time.format(0, "%Y%")`, `error layout: "%Y%" ends with %: write %% for a percent sign`)
	f(`return ns.time.format(0, "rfc3993")`, `error layout: "rfc3993" is neither rfc3339 nor rfc1123, and has no directive such as %Y`)
	f(`return ns.time.format(0, "")`, `error has no directive`)
	f(`return ns.time.format(0, ("%Y"):rep(200))`, `error layout: has 400 bytes, at most 256 are allowed`)
	f(`return ns.time.format(-2e9, nil, "Africa/Monrovia")`, `error rfc3339 cannot show the offset of the zone Africa/Monrovia at this time`)
}

func TestTimeParse(t *testing.T) {
	f := moduleTest(t)
	check := func(args, want string) {
		t.Helper()
		f("local t, err = ns.time.parse("+args+") return err or t", want)
	}
	check(`"2026-03-29T01:00:00Z"`, "1.774746e+09")
	check(`"2026-03-29t06:30:00.25+05:30"`, "1.77474600025e+09")
	check(`"2026-03-29"`, `"2026-03-29": is not a time as in 2026-01-31T23:59:59.5Z`)
	check(`"Sun, 29 Mar 2026 01:00:00 GMT", "rfc1123"`, "1.774746e+09")
	check(`"29 March 2026", "%d %B %Y"`, "1.7747424e+09")
	check(`"29 mar 2026 03:00", "%d %b %Y %H:%M", "Europe/Berlin"`, "1.774746e+09")
	check(`"12 AM 1970", "%I %p %Y"`, "0")
	check(`"12 pm 1970", "%I %p %Y"`, "43200")
	check(`"1 Pm 1970", "%I %p %Y"`, "46800")
	check(`"1774746000.5", "%s"`, `"1774746000.5": has ".5" after the end of the layout`)
	check(`"-5 x", "%s x"`, "-5")
	check(`"68 69", "%y %d"`, `"68 69": "69" is not a number from 1 to 31`)
	check(`"69", "%y"`, "-3.1536e+07")
	check(`"68", "%y"`, "3.0926016e+09")
	check(`"2026-02-29", "%F"`, `"2026-02-29": the month 2026-02 has no day 29`)
	check(`"2028-02-29", "%F"`, "1.8353952e+09")
	check(`"2026-2-9", "%F"`, "1.7705952e+09")
	check(`"2026-13-01", "%F"`, `"2026-13-01": "13" is not a number from 1 to 12`)
	check(`"20260101", "%Y-%m-%d"`, `"20260101": "-" is expected at "0101"`)
	check(`"x", "%Y"`, `"x": 4 digits are expected at "x"`)
	check(`"Sonntag", "%A"`, `"Sonntag": one of ["Sunday" "Monday" "Tuesday" "Wednesday" "Thursday" "Friday" "Saturday"] is expected at "Sonntag"`)
	check(`"0 +01:30", "%H %z"`, "-5400")
	check(`"0 -01", "%H %z"`, "3600")
	check(`"0 Z", "%H %z", "Asia/Kolkata"`, "0")
	check(`"0 1", "%H %z"`, `"0 1": an offset such as +0100 is expected at "1"`)
	check(`"0 1", "%p %I"`, `"0 1": one of ["AM" "PM"] is expected at "0 1"`)
	check(`"AM", "%p"`, `"AM": the layout has %p, but not %I`)
	check(`"1", "%I"`, `"1": the layout has %I, but not %p`)
	f(`return ns.time.parse("CET", "%Z")`, "error layout: parse cannot read %Z")
	f(`return ns.time.parse("1", "%j")`, "error layout: parse cannot read %j")
}
