package matcher_test

import (
	"math"
	"strings"
	"testing"

	"nearside/matcher"
)

func TestBuiltInVersions(t *testing.T) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint32]matcher.Version{}
	for _, n := range []uint32{54, 56, 57, 58, 59, 60, 62, 64, 65} {
		want[n] = matcher.Version{Type: matcher.FaceDescriptor, Length: 512}
	}
	for _, n := range []uint32{102, 103, 104} {
		want[n] = matcher.Version{Type: matcher.BodyDescriptor, Length: 2048}
	}
	for _, n := range []uint32{105, 106, 107, 108, 110, 116} {
		want[n] = matcher.Version{Type: matcher.BodyDescriptor, Length: 512}
	}
	for n, w := range want {
		w.Number, w.Scale, w.Similarity = n, 128, matcher.Calibration{Midpoint: 1, Steepness: 8}
		if v := registry.Version(n); v == nil || *v != w || v.Size() != w.Length || v.Calibrated {
			t.Errorf("version %d: %+v", n, v)
		}
	}
	if n := len(registry.Versions()); n != len(want) {
		t.Errorf("%d versions, want %d", n, len(want))
	}
	for _, n := range []uint32{0, 1, 53, 55, 61, 109, 111, math.MaxUint32} {
		if v := registry.Version(n); v != nil {
			t.Errorf("version %d: %+v", n, v)
		}
	}
}

func TestRegistry(t *testing.T) {
	s := matcher.Calibration{Midpoint: 12.6, Steepness: 1}
	custom := []matcher.Version{
		{Number: 1001, Length: 256, Scale: 128, Similarity: s},
		{Number: 59, Length: 512, Scale: 128, Similarity: s}, // calibrates a built-in one
		{Number: 2001, Type: matcher.BodyDescriptor, Encoding: matcher.Float32, Length: 256, Metric: matcher.Cosine, Similarity: s},
		{Number: 2002, Encoding: matcher.Float32, Length: 4}, // uncalibrated
	}
	registry, err := matcher.NewRegistry(custom)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range custom {
		if w.Calibrated = w.Number != 2002; !w.Calibrated {
			w.Similarity = matcher.Calibration{Midpoint: 1, Steepness: 8}
		}
		if v := registry.Version(w.Number); v == nil || *v != w {
			t.Errorf("version %d: %+v", w.Number, v)
		}
	}
	if size := registry.Version(2001).Size(); size != 1024 {
		t.Errorf("256 float32 values have %d bytes, want 1024", size)
	}
	all := registry.Versions()
	if n := len(all); n != 21 || all[4].Number != 59 || all[18].Number != 1001 || all[19].Number != 2001 {
		t.Errorf("%d versions in this order: %v", n, all)
	}
	for _, v := range all {
		if registry.Version(v.Number) != v {
			t.Errorf("version %d is listed twice", v.Number)
		}
	}
	other, err := matcher.NewRegistry(nil)
	if err != nil || other.Version(59).Calibrated {
		t.Error("a calibration of one registry changed another registry")
	}
}

// TestRegistryFaults: every fault is reported with its path.
func TestRegistryFaults(t *testing.T) {
	s := matcher.Calibration{Midpoint: 1, Steepness: 8}
	check := func(want string, custom ...matcher.Version) {
		t.Helper()
		_, err := matcher.NewRegistry(custom)
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	valid := matcher.Version{Number: 1001, Length: 1, Scale: 1, Similarity: s}
	with := func(change func(v *matcher.Version)) matcher.Version {
		v := valid
		change(&v)
		return v
	}
	check("descriptors.versions[0].number: must be above 0", with(func(v *matcher.Version) { v.Number = 0 }))
	check("descriptors.versions[0].type: must be face or body, got 2", with(func(v *matcher.Version) { v.Type = 2 }))
	check("descriptors.versions[0].length: must be an integer from 1 to 16384, got 0", with(func(v *matcher.Version) { v.Length = 0 }))
	check("descriptors.versions[0].length: must be an integer from 1 to 16384, got -1", with(func(v *matcher.Version) { v.Length = -1 }))
	check("descriptors.versions[0].length: must be an integer from 1 to 16384, got 16385", with(func(v *matcher.Version) { v.Length = 16385 }))
	check("descriptors.versions[0].scale: must be an integer from 1 to 1048576, got 0", with(func(v *matcher.Version) { v.Scale = 0 }))
	check("descriptors.versions[0].scale: must be an integer from 1 to 1048576, got 1048577", with(func(v *matcher.Version) { v.Scale = 1<<20 + 1 }))
	check("descriptors.versions[0].metric: must be l2 for uint8 descriptors, got cosine", with(func(v *matcher.Version) { v.Metric = matcher.Cosine }))
	check("descriptors.versions[0].scale: must not be given for float32 descriptors", with(func(v *matcher.Version) { v.Encoding = matcher.Float32 }))
	check("descriptors.versions[0].metric: must be l2 or cosine, got 2",
		with(func(v *matcher.Version) { v.Encoding, v.Scale, v.Metric = matcher.Float32, 0, 2 }))
	check("descriptors.versions[0].encoding: must be uint8 or float32, got 2", with(func(v *matcher.Version) { v.Encoding = 2 }))
	for text, midpoint := range map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-0.5": -0.5} {
		check("descriptors.versions[0].similarity.midpoint: must be a finite number of at least 0, got "+text, with(func(v *matcher.Version) { v.Similarity.Midpoint = midpoint }))
	}
	for text, steepness := range map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "0": 0, "-1": -1} {
		check("descriptors.versions[0].similarity.steepness: must be a finite number above 0, got "+text, with(func(v *matcher.Version) { v.Similarity.Steepness = steepness }))
	}
	check("descriptors.versions[1].number: 1001 is given twice", valid, valid)
	check("descriptors.versions[0].number: 59 is built in as face, uint8, length 512, scale 128; only its similarity can be changed", with(func(v *matcher.Version) { v.Number = 59 }))

	check(strings.Join([]string{
		"descriptors.versions[1].number: must be above 0",
		"descriptors.versions[1].length: must be an integer from 1 to 16384, got 0",
		"descriptors.versions[2].scale: must be an integer from 1 to 1048576, got 0",
	}, "\n"), valid, matcher.Version{Scale: 1}, with(func(v *matcher.Version) { v.Number, v.Scale = 7, 0 }))
}
