package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// DescriptorType is what a descriptor describes: a face or a body.
type DescriptorType uint8

// The descriptor types. DescriptorTypes is their number, for arrays by type.
const (
	FaceDescriptor DescriptorType = iota
	BodyDescriptor
	DescriptorTypes
)

// String returns "face" or "body".
func (t DescriptorType) String() string { return [...]string{"face", "body"}[t] }

// Encoding is the form in which the values of a descriptor are stored.
type Encoding uint8

// The encodings: unsigned bytes, and IEEE 754 single precision, little-endian.
const (
	Uint8 Encoding = iota
	Float32
)

// String returns "uint8" or "float32".
func (e Encoding) String() string { return [...]string{"uint8", "float32"}[e] }

// Metric is the kind of distance between float32 descriptors; uint8 descriptors
// always have L2.
type Metric uint8

// The metrics: squared Euclidean distance, and 2 - 2*cos.
const (
	L2 Metric = iota
	Cosine
)

// String returns "l2" or "cosine".
func (m Metric) String() string { return [...]string{"l2", "cosine"}[m] }

// Exact is the method that finds the nearest float32 rows. All methods give the
// same answer.
type Exact uint8

// The methods. Bounded scans a copy of the rows in bytes, with a known error
// bound for each row, and then computes the exact distances of the rows that may
// be in the answer. Plain scans the float32 rows and needs no copy.
const (
	Bounded Exact = iota
	Plain
)

// String returns "bounded" or "plain".
func (e Exact) String() string { return [...]string{"bounded", "plain"}[e] }

// LengthMax is the maximum number of dimensions of a version. It keeps sums of
// squared byte differences below 2^31.
const LengthMax = 16384

// Calibration maps a distance to a similarity.
type Calibration struct {
	Midpoint  float64 // the distance at which similarity is about one half
	Steepness float64 // above 0
}

// defaultCalibration is the calibration of versions for which the configuration has
// none.
var defaultCalibration = Calibration{Midpoint: 1, Steepness: 8}

// IsZero reports whether c is missing from the configuration.
func (c Calibration) IsZero() bool { return c == Calibration{} }

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

// Size returns the number of bytes of a descriptor.
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
		bad("type: must be face or body, got %d", v.Type)
	}
	if v.Length < 1 || v.Length > LengthMax {
		bad("length: must be an integer from 1 to %d, got %d", LengthMax, v.Length)
	}
	switch v.Encoding {
	case Uint8:
		if v.Scale < 1 || v.Scale > 1<<20 {
			bad("scale: must be an integer from 1 to %d, got %d", 1<<20, v.Scale)
		}
		if v.Metric != L2 {
			bad("metric: must be l2 for uint8 descriptors, got %s", v.Metric)
		}
		if v.Exact != Bounded {
			bad("exact: must not be given for uint8 descriptors, which are always exact")
		}
	case Float32:
		if v.Scale != 0 {
			bad("scale: must not be given for float32 descriptors")
		}
		if v.Metric > Cosine {
			bad("metric: must be l2 or cosine, got %d", v.Metric)
		}
		if v.Exact > Plain {
			bad("exact: must be bounded or plain, got %d", v.Exact)
		}
	default:
		bad("encoding: must be uint8 or float32, got %d", v.Encoding)
	}
	if m := v.Similarity.Midpoint; math.IsNaN(m) || math.IsInf(m, 0) || m < 0 {
		bad("similarity.midpoint: must be a finite number of at least 0, got %v", m)
	}
	if k := v.Similarity.Steepness; math.IsNaN(k) || math.IsInf(k, 0) || k <= 0 {
		bad("similarity.steepness: must be a finite number above 0, got %v", k)
	}
	return faults
}

// CheckData returns an error if data cannot be a descriptor of v: its length is
// wrong, a value is not finite, or it is a zero vector under cosine.
func (v *Version) CheckData(data []byte) error {
	if len(data) != v.Size() {
		return fmt.Errorf("version %d needs %d bytes, got %d", v.Number, v.Size(), len(data))
	}
	if v.Encoding != Float32 {
		return nil
	}
	zero := true
	for i := 0; i < len(data); i += 4 {
		bits := binary.LittleEndian.Uint32(data[i:])
		if bits&0x7f800000 == 0x7f800000 {
			return fmt.Errorf("value %d must be finite, got %v", i/4, math.Float32frombits(bits))
		}
		zero = zero && bits&0x7fffffff == 0
	}
	if zero && v.Metric == Cosine {
		return errors.New("must not be a zero vector under cosine")
	}
	return nil
}

// Registry holds the descriptor versions of a server. It is read-only.
type Registry struct {
	byNumber map[uint32]*Version
	versions []*Version // built-in ones first, then in the order of configuration
}

// builtin returns the versions that need no configuration.
func builtin() []Version {
	var all []Version
	addVersions := func(t DescriptorType, length int, numbers ...uint32) {
		for _, n := range numbers {
			all = append(all, Version{Number: n, Type: t, Length: length, Scale: 128, Similarity: defaultCalibration})
		}
	}
	addVersions(FaceDescriptor, 512, 54, 56, 57, 58, 59, 60, 62, 64, 65)
	addVersions(BodyDescriptor, 2048, 102, 103, 104)
	addVersions(BodyDescriptor, 512, 105, 106, 107, 108, 110, 116)
	return all
}

// NewRegistry returns a registry of the built-in versions and custom ones. A
// custom version may repeat a built-in number only to calibrate it. A custom
// version without a calibration gets the default and is not Calibrated. All
// faults are returned together, each with its index in custom.
func NewRegistry(custom []Version) (*Registry, error) {
	r := &Registry{byNumber: map[uint32]*Version{}}
	for _, v := range builtin() {
		r.addVersion(v)
	}
	seen := map[uint32]bool{}
	var faults []error
	for i, v := range custom {
		if v.Calibrated = !v.Similarity.IsZero(); !v.Calibrated {
			v.Similarity = defaultCalibration
		}
		bad := v.check()
		if old := r.byNumber[v.Number]; bad == nil && old != nil {
			switch {
			case seen[v.Number]:
				bad = append(bad, fmt.Errorf("number: %d is given twice", v.Number))
			case old.Type != v.Type || old.Encoding != v.Encoding || old.Length != v.Length || old.Scale != v.Scale:
				bad = append(bad, fmt.Errorf("number: %d is built in as %s, %s, length %d, scale %d; only its similarity can be changed",
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
		r.addVersion(v)
	}
	return r, errors.Join(faults...)
}

func (r *Registry) addVersion(v Version) {
	if old := r.byNumber[v.Number]; old != nil {
		*old = v
		return
	}
	r.byNumber[v.Number] = &v
	r.versions = append(r.versions, &v)
}

// Version returns the version with that number, or nil.
func (r *Registry) Version(number uint32) *Version { return r.byNumber[number] }

// Versions returns all versions; the slice must not be changed.
func (r *Registry) Versions() []*Version { return r.versions }
