package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// DescriptorType says what was described.
type DescriptorType uint8

// The descriptor types. DescriptorTypes is their number, for arrays by type.
const (
	FaceDescriptor DescriptorType = iota
	BodyDescriptor
	DescriptorTypes
)

// String returns "face" or "body".
func (t DescriptorType) String() string { return [...]string{"face", "body"}[t] }

// Encoding says how the values of a descriptor are stored.
type Encoding uint8

// The encodings: unsigned bytes, and IEEE 754 single precision, little-endian.
const (
	Uint8 Encoding = iota
	Float32
)

// String returns "uint8" or "float32".
func (e Encoding) String() string { return [...]string{"uint8", "float32"}[e] }

// Metric says how the distance of float32 descriptors is computed; uint8
// descriptors are always L2.
type Metric uint8

// The metrics: squared Euclidean distance, and 2 - 2*cos.
const (
	L2 Metric = iota
	Cosine
)

// String returns "l2" or "cosine".
func (m Metric) String() string { return [...]string{"l2", "cosine"}[m] }

// Exact says how the nearest float32 rows are found; the answer is the same.
type Exact uint8

// The ways: Bounded scans a copy in bytes, whose error is bounded for each
// row, and computes what may be in the answer again; Plain scans the rows
// themselves, without a copy.
const (
	Bounded Exact = iota
	Plain
)

// String returns "bounded" or "plain".
func (e Exact) String() string { return [...]string{"bounded", "plain"}[e] }

// LengthMax is the most dimensions that a version may have. Sums of squared
// byte differences stay below 2^31 up to it.
const LengthMax = 16384

// Calibration maps a distance to a similarity.
type Calibration struct {
	Midpoint  float64 // the distance at which similarity is about one half
	Steepness float64 // above 0
}

// uncalibrated is what a version has until its owner configures it.
var uncalibrated = Calibration{Midpoint: 1, Steepness: 8}

// Version is a registered kind of descriptor. It is immutable once it is in a
// [Registry].
type Version struct {
	Number     uint32
	Type       DescriptorType
	Encoding   Encoding
	Length     int // dimensions, 1..LengthMax
	Scale      int // uint8 only: the value that stands for 1.0
	Metric     Metric
	Exact      Exact // float32 only
	Similarity Calibration
	Calibrated bool // false: Similarity is the default, not fitted to this version
}

// Size is the number of bytes of a descriptor.
func (v *Version) Size() int {
	if v.Encoding == Float32 {
		return 4 * v.Length
	}
	return v.Length
}

// check returns every fault of v.
func (v *Version) check() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if v.Number == 0 {
		bad("number: must be above 0")
	}
	if v.Type >= DescriptorTypes {
		bad("type: %d is neither face nor body", v.Type)
	}
	if v.Length < 1 || v.Length > LengthMax {
		bad("length: %d is not in 1..%d", v.Length, LengthMax)
	}
	switch v.Encoding {
	case Uint8:
		if v.Scale < 1 || v.Scale > 1<<20 {
			bad("scale: %d is not in 1..%d", v.Scale, 1<<20)
		}
		if v.Metric != L2 {
			bad("metric: uint8 descriptors are always l2")
		}
		if v.Exact != Bounded {
			bad("exact: only float32 descriptors have it, integers are exact as they are")
		}
	case Float32:
		if v.Scale != 0 {
			bad("scale: only uint8 descriptors have one")
		}
		if v.Metric > Cosine {
			bad("metric: %d is neither l2 nor cosine", v.Metric)
		}
		if v.Exact > Plain {
			bad("exact: %d is neither bounded nor plain", v.Exact)
		}
	default:
		bad("encoding: %d is neither uint8 nor float32", v.Encoding)
	}
	if m := v.Similarity.Midpoint; math.IsNaN(m) || math.IsInf(m, 0) || m < 0 {
		bad("similarity.midpoint: %v is not a number of 0 or more", m)
	}
	if k := v.Similarity.Steepness; math.IsNaN(k) || math.IsInf(k, 0) || k <= 0 {
		bad("similarity.steepness: %v is not a number above 0", k)
	}
	return faults
}

// CheckData says what is wrong with data as a descriptor of v: its length,
// a value that is not finite, a vector without direction under cosine.
func (v *Version) CheckData(data []byte) error {
	if len(data) != v.Size() {
		return fmt.Errorf("%d bytes are no descriptor of version %d, which has %d", len(data), v.Number, v.Size())
	}
	if v.Encoding != Float32 {
		return nil
	}
	zero := true
	for i := 0; i < len(data); i += 4 {
		bits := binary.LittleEndian.Uint32(data[i:])
		if bits&0x7f800000 == 0x7f800000 {
			return fmt.Errorf("value %d is %v, not a finite number", i/4, math.Float32frombits(bits))
		}
		zero = zero && bits&0x7fffffff == 0
	}
	if zero && v.Metric == Cosine {
		return errors.New("a zero vector has no direction, which cosine needs")
	}
	return nil
}

// Registry holds the descriptor versions of a server. It is read-only.
type Registry struct {
	versions map[uint32]*Version
	order    []*Version // built-in ones first, then in the order of configuration
}

// builtin returns the versions of the platform that need no configuration.
func builtin() []Version {
	var all []Version
	add := func(t DescriptorType, length int, numbers ...uint32) {
		for _, n := range numbers {
			all = append(all, Version{Number: n, Type: t, Length: length, Scale: 128, Similarity: uncalibrated})
		}
	}
	add(FaceDescriptor, 512, 54, 56, 57, 58, 59, 60, 62, 65)
	add(BodyDescriptor, 2048, 102, 103, 104)
	add(BodyDescriptor, 512, 105, 106, 107, 108, 110)
	return all
}

// NewRegistry holds the built-in versions and custom ones. A custom version
// may repeat a built-in number only to calibrate it. All faults are returned
// together, each with its index in custom.
func NewRegistry(custom []Version) (*Registry, error) {
	r := &Registry{versions: map[uint32]*Version{}}
	for _, v := range builtin() {
		r.add(v)
	}
	seen := map[uint32]bool{}
	var faults []error
	for i, v := range custom {
		bad := v.check()
		if old := r.versions[v.Number]; bad == nil && old != nil {
			switch {
			case seen[v.Number]:
				bad = append(bad, fmt.Errorf("number: %d is there twice", v.Number))
			case old.Type != v.Type || old.Encoding != v.Encoding || old.Length != v.Length || old.Scale != v.Scale:
				bad = append(bad, fmt.Errorf("number: %d is built in as %s, %s, length %d, scale %d; only its similarity can be set",
					v.Number, old.Type, old.Encoding, old.Length, old.Scale))
			}
		}
		for _, err := range bad {
			faults = append(faults, fmt.Errorf("descriptors.versions[%d].%w", i, err))
		}
		if bad != nil {
			continue
		}
		seen[v.Number] = true
		v.Calibrated = true
		r.add(v)
	}
	return r, errors.Join(faults...)
}

func (r *Registry) add(v Version) {
	if old := r.versions[v.Number]; old != nil {
		*old = v
		return
	}
	r.versions[v.Number] = &v
	r.order = append(r.order, &v)
}

// Version returns the version of that number, or nil.
func (r *Registry) Version(number uint32) *Version { return r.versions[number] }

// Versions returns all versions; the slice must not be changed.
func (r *Registry) Versions() []*Version { return r.order }
