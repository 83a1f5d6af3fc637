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
	// npyHeaderMax limits the size of the header's text in bytes. Usual headers have
	// about 100 bytes.
	npyHeaderMax = 64 << 10
)

// readNpyHeader reads the magic bytes, version, length and text of the header.
func (r *Reader) readNpyHeader() error {
	var fixed [len(npyMagic) + 2]byte
	if err := r.readFull(fixed[:]); err != nil {
		return err
	}
	if string(fixed[:len(npyMagic)]) != npyMagic {
		return fmt.Errorf(`file must begin with "\x93NUMPY", got %q`, fixed[:len(npyMagic)])
	}
	major := fixed[len(npyMagic)]
	if major < 1 || major > 3 {
		return fmt.Errorf("version must be 1, 2 or 3, got %d.%d", major, fixed[len(npyMagic)+1])
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
		return fmt.Errorf("length must be at most %d, got %d", npyHeaderMax, n)
	}
	text := make([]byte, n)
	if err := r.readFull(text); err != nil {
		return err
	}
	return r.parseNpyHeader(string(text))
}

// readFull fills b. If the file is too short, the error says at which byte it ends.
func (r *Reader) readFull(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file ends at byte %d", r.offset)
	}
	return err
}

// npyField matches one entry of the header, which is a Python dict like
// {'descr': '|u1', 'fortran_order': False, 'shape': (10, 128), }.
var npyField = regexp.MustCompile(`^\s*(?:'(\w+)'|"(\w+)")\s*:\s*('[^'\\]*'|"[^"\\]*"|\w+|\([0-9L,\s]*\)|\[[^\[\]]*\])\s*(,|$)`)

// parseNpyHeader parses the dict of the header. Its keys may be in any order.
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
			return fmt.Errorf("cannot be parsed from %.80q", rest)
		}
		key := m[1] + m[2]
		if _, twice := fields[key]; twice {
			return fmt.Errorf("%q occurs twice", key)
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
		return fmt.Errorf("%.80q must have only the keys descr, fortran_order and shape", text)
	}
	return r.setShape(fields["descr"], fields["fortran_order"], fields["shape"])
}

// setShape checks the values of the header and sets the type, the dimension and the
// number of rows.
func (r *Reader) setShape(descr, fortran, shape string) error {
	t, err := npyTypeOf(descr)
	if err != nil {
		return err
	}
	r.element = t.element
	if t.value != nil {
		r.from = &t
	}
	if fortran != "False" && fortran != "True" {
		return fmt.Errorf("fortran_order must be True or False, got %.40s", fortran)
	}
	var sizes []int64
	for part := range strings.SplitSeq(strings.Trim(shape, "()"), ",") {
		if part = strings.TrimSuffix(strings.TrimSpace(part), "L"); part == "" { // Python 2 writes sizes with the suffix L
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("shape %.80s: a size must be an integer from 0 to %d, got %.40q", shape, int64(math.MaxInt64), part)
		}
		sizes = append(sizes, n)
	}
	if len(sizes) == 1 { // one vector
		sizes = []int64{1, sizes[0]}
	}
	if len(sizes) != 2 || !strings.HasPrefix(shape, "(") {
		return fmt.Errorf("shape must be (rows, dimension) or (dimension,), got %.80s", shape)
	}
	if sizes[1] < 1 || sizes[1] > DimMax {
		return fmt.Errorf("shape %.80s: dimension must be 1 to %d, got %d", shape, DimMax, sizes[1])
	}
	if limit := int64(math.MaxInt64 / (8 * DimMax)); sizes[0] > limit { // keeps offsets from overflowing
		return fmt.Errorf("shape %.80s: rows must be at most %d, got %d", shape, limit, sizes[0])
	}
	if fortran == "True" && sizes[0] > 1 && sizes[1] > 1 { // otherwise both orders are the same
		return errors.New("array must be in C order (by rows), got Fortran order (by columns); save numpy.ascontiguousarray(array) instead")
	}
	r.rows, r.dim = sizes[0], int(sizes[1])
	if r.from != nil {
		r.raw = make([]byte, r.dim*r.from.size)
	}
	return nil
}
