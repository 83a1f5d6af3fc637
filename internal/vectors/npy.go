package vectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

const (
	npyMagic = "\x93NUMPY"
	// npyHeaderMax bounds the text of the header, which has about 100 bytes.
	npyHeaderMax = 64 << 10
)

// readNpyHeader reads magic, version, length and text of the header.
func (r *Reader) readNpyHeader() error {
	var fixed [len(npyMagic) + 2]byte
	if err := r.readFull(fixed[:]); err != nil {
		return err
	}
	if string(fixed[:len(npyMagic)]) != npyMagic {
		return fmt.Errorf(`file does not begin with "\x93NUMPY" but with %q`, fixed[:len(npyMagic)])
	}
	major := fixed[len(npyMagic)]
	if major < 1 || major > 3 {
		return fmt.Errorf("version %d.%d is not one of 1, 2, 3", major, fixed[len(npyMagic)+1])
	}
	length := make([]byte, 4)
	if major == 1 {
		length = length[:2]
	}
	if err := r.readFull(length); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(append(length, 0, 0)[:4])
	if n > npyHeaderMax {
		return fmt.Errorf("length %d is above %d", n, npyHeaderMax)
	}
	text := make([]byte, n)
	if err := r.readFull(text); err != nil {
		return err
	}
	return r.parseNpyHeader(string(text))
}

// readFull fills b or says at which byte the file ends.
func (r *Reader) readFull(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file ends at byte %d", r.offset)
	}
	return err
}

// npyField is one entry of the header, a Python dict like
// {'descr': '|u1', 'fortran_order': False, 'shape': (10, 128), }.
var npyField = regexp.MustCompile(`^\s*(?:'(\w+)'|"(\w+)")\s*:\s*('[^'\\]*'|"[^"\\]*"|\w+|\([0-9L,\s]*\))\s*(,|$)`)

// parseNpyHeader reads the dict, whose keys may be in any order.
func (r *Reader) parseNpyHeader(text string) error {
	inner := strings.TrimSpace(text)
	if !strings.HasPrefix(inner, "{") || !strings.HasSuffix(inner, "}") {
		return fmt.Errorf("%.80q is not a dict", text)
	}
	rest := inner[1 : len(inner)-1]
	fields := map[string]string{}
	for strings.TrimSpace(rest) != "" {
		m := npyField.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("not understood from %.80q", rest)
		}
		key := m[1] + m[2]
		if _, twice := fields[key]; twice {
			return fmt.Errorf("%q is there twice", key)
		}
		fields[key] = m[3]
		rest = rest[len(m[0]):]
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if _, ok := fields[key]; !ok {
			return fmt.Errorf("%q is missing", key)
		}
	}
	if len(fields) > 3 {
		return fmt.Errorf("%.80q has more than descr, fortran_order, shape", text)
	}
	return r.setNpy(fields["descr"], fields["fortran_order"], fields["shape"])
}

func (r *Reader) setNpy(descr, fortran, shape string) error {
	switch strings.Trim(descr, `'"`) {
	case "|u1", "u1", "<u1":
		r.element = Uint8
	case "<f4":
		r.element = Float32
	default:
		return fmt.Errorf("type %.40s is neither '|u1' (uint8) nor '<f4' (float32, little-endian)", descr)
	}
	switch fortran {
	case "False":
	case "True":
		return errors.New("array is in Fortran order; save it with numpy.ascontiguousarray")
	default:
		return fmt.Errorf("fortran_order %.40s is neither True nor False", fortran)
	}
	var sizes []int64
	for part := range strings.SplitSeq(strings.Trim(shape, "()"), ",") {
		if part = strings.TrimSuffix(strings.TrimSpace(part), "L"); part == "" { // L: written by Python 2
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("shape %.80s: %.40q is not a size", shape, part)
		}
		sizes = append(sizes, n)
	}
	if len(sizes) != 2 || !strings.HasPrefix(shape, "(") {
		return fmt.Errorf("shape %.80s is not (rows, dimension)", shape)
	}
	if sizes[1] < 1 || sizes[1] > DimMax {
		return fmt.Errorf("shape %.80s: dimension %d is not in 1..%d", shape, sizes[1], DimMax)
	}
	if sizes[0] > math.MaxInt64/(4*DimMax) { // so that offsets never overflow
		return fmt.Errorf("shape %.80s: %d rows are more than any file has", shape, sizes[0])
	}
	r.rows, r.dim = sizes[0], int(sizes[1])
	return nil
}
