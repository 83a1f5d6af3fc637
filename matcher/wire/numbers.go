package wire

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

// numbers reads the data of a descriptor of version that is given as an array of
// numbers.
func (v value) numbers(version *matcher.Version) ([]byte, error) {
	if v.len() != version.Length {
		return nil, badInput("version %d needs %d numbers, got %d", version.Number, version.Length, v.len())
	}
	data := make([]byte, 0, version.Size())
	err := v.array(func(_ int, v value) error {
		if version.Encoding == matcher.Uint8 {
			n, err := v.small()
			data = append(data, n)
			return err
		}
		f, err := v.float32()
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
		return err
	})
	return data, err
}

// float32 returns the float32 that is nearest to a number, which is read as float64. It
// refuses numbers that are too large for float32.
func (v value) float32() (float32, error) {
	var f float32
	switch n := v.nodes[0]; n.kind {
	case kindInt:
		f = float32(float64(int64(n.num))) // like the same number with a fraction
	case kindUint:
		f = float32(float64(n.num))
	case kindFloat:
		f = float32(math.Float64frombits(n.num))
	default:
		return 0, v.mustBe("a number")
	}
	if bits := math.Float32bits(f); bits&0x7f800000 == 0x7f800000 {
		return 0, v.mustBe("a finite number within the range of float32")
	}
	return f, nil
}

// DescriptorForm says whether objects are written with their descriptors, and in which
// form. The zero DescriptorForm is NoDescriptors.
type DescriptorForm struct {
	written bool
	numbers *matcher.Registry // not nil: as arrays of numbers
}

// The forms without numbers. In JSON, binary data is base64.
var (
	NoDescriptors     = DescriptorForm{}
	BinaryDescriptors = DescriptorForm{written: true}
)

// NumberDescriptors returns the form in which the data of a descriptor is an array of
// numbers. Descriptors of versions that are not in r are written as binary data.
func NumberDescriptors(r *matcher.Registry) DescriptorForm {
	return DescriptorForm{written: true, numbers: r}
}

// Written reports whether objects are written with their descriptors.
func (f DescriptorForm) Written() bool { return f.written }

// IsNumbers reports whether descriptors are written as arrays of numbers.
func (f DescriptorForm) IsNumbers() bool { return f.numbers != nil }

// descriptorData writes the data of a descriptor in the given form.
func (w *Writer) descriptorData(d matcher.Descriptor, form DescriptorForm) {
	var version *matcher.Version
	if form.numbers != nil {
		version = form.numbers.Version(d.Version)
	}
	switch {
	case version == nil:
		w.Bytes(d.Data)
	case version.Encoding == matcher.Uint8:
		w.Array(len(d.Data))
		for _, n := range d.Data {
			w.Int(int64(n))
		}
		w.EndArray()
	default:
		w.Array(len(d.Data) / 4)
		for i := 0; i+4 <= len(d.Data); i += 4 {
			w.Float32(math.Float32frombits(binary.LittleEndian.Uint32(d.Data[i:])))
		}
		w.EndArray()
	}
}

// Float32 writes a finite number; in JSON, in the shortest form that reads back to the
// same float32.
func (w *Writer) Float32(f float32) {
	w.comma()
	switch {
	case w.format == MessagePack:
		w.buf = msgp.AppendFloat32(w.buf, f)
	case f == 0 && math.Signbit(float64(f)):
		w.buf = append(w.buf, "-0.0"...) // many readers take -0 for the integer 0
	default:
		w.buf = strconv.AppendFloat(w.buf, float64(f), 'g', -1, 32)
	}
}
