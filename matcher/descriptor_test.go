package matcher_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"nearside/matcher"
)

func TestParseSDK(t *testing.T) {
	good := func(in string, version uint32, data string) {
		t.Helper()
		d, err := matcher.ParseSDK([]byte(in))
		if err != nil || d.Version != version || string(d.Data) != data {
			t.Errorf("%q: %v, %v", in, d, err)
		}
		if !matcher.IsSDK([]byte(in)) {
			t.Errorf("%q: IsSDK is false", in)
		}
	}
	good("dp\x00\x00\x3b\x00\x00\x00abc", 59, "abc")
	good("dp\x00\x00\x3b\x00\x00\x00", 59, "")
	good("dp\x00\x00\x01\x02\x03\x04dp\x00\x00", 0x04030201, "dp\x00\x00")

	bad := func(in string, isSDK bool) {
		t.Helper()
		if d, err := matcher.ParseSDK([]byte(in)); err == nil {
			t.Errorf("%q: %v", in, d)
		}
		if matcher.IsSDK([]byte(in)) != isSDK {
			t.Errorf("%q: IsSDK is %v", in, !isSDK)
		}
	}
	bad("", false)
	bad("dp\x00", false)
	bad("dp\x00\x01\x3b\x00\x00\x00abc", false)
	bad("DP\x00\x00\x3b\x00\x00\x00abc", false)
	bad("dp\x00\x00", true)
	bad("dp\x00\x00\x3b\x00\x00", true)
}

func FuzzParseSDK(f *testing.F) {
	f.Add([]byte("dp\x00\x00\x3b\x00\x00\x00abc"))
	f.Add([]byte("dp\x00\x00\x3b"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := matcher.ParseSDK(in)
		if err != nil {
			if len(in) >= 8 && bytes.HasPrefix(in, []byte{'d', 'p', 0, 0}) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if !matcher.IsSDK(in) || !bytes.Equal(d.Data, in[8:]) || d.Version != binary.LittleEndian.Uint32(in[4:]) {
			t.Fatalf("read as %v", d)
		}
	})
}

func TestCheckDescriptor(t *testing.T) {
	registry, err := matcher.NewRegistry([]matcher.Version{
		{Number: 2001, Encoding: matcher.Float32, Length: 2, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}},
		{Number: 2002, Encoding: matcher.Float32, Length: 2, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	check := func(version uint32, data []byte, code matcher.Code, detail string) {
		t.Helper()
		v, err := registry.Check(matcher.Descriptor{Version: version, Data: data})
		switch {
		case detail == "" && (err != nil || v.Number != version):
			t.Errorf("version %d: %v, %v", version, v, err)
		case detail != "" && (matcher.CodeOf(err) != code || err.Error() != detail):
			t.Errorf("version %d: code %d, %v\nwant %d, %s", version, matcher.CodeOf(err), err, code, detail)
		}
	}
	nan, inf, minusZero := float32(math.NaN()), float32(math.Inf(-1)), float32(math.Copysign(0, -1))
	check(59, make([]byte, 512), 0, "")
	check(59, make([]byte, 511), matcher.CodeBadInput, "data: version 59 needs 512 bytes, got 511")
	check(59, nil, matcher.CodeBadInput, "data: version 59 needs 512 bytes, got 0")
	check(55, make([]byte, 512), matcher.CodeUnknownVersion, "version: 55 is not registered")
	check(0, nil, matcher.CodeUnknownVersion, "version: 0 is not registered")
	check(2001, packed(0, 0), 0, "")
	check(2001, packed(1), matcher.CodeBadInput, "data: version 2001 needs 8 bytes, got 4")
	check(2001, packed(1, nan), matcher.CodeBadInput, "data: value 1 must be finite, got NaN")
	check(2001, packed(inf, 1), matcher.CodeBadInput, "data: value 0 must be finite, got -Inf")
	check(2001, packed(math.MaxFloat32, math.SmallestNonzeroFloat32), 0, "")
	check(2002, packed(0, minusZero), matcher.CodeBadInput, "data: must not be a zero vector under cosine")
	check(2002, packed(0, math.SmallestNonzeroFloat32), 0, "")
	check(2002, packed(nan, 0), matcher.CodeBadInput, "data: value 0 must be finite, got NaN")
}

func ExampleParseSDK() {
	d, err := matcher.ParseSDK([]byte("dp\x00\x00\x3b\x00\x00\x00..."))
	fmt.Println(d.Version, len(d.Data), err)
	// Output: 59 3 <nil>
}
