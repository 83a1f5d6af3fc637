package wire

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
)

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Pairs has the two characters for each 12 bits, the first one in the lowest byte.
var base64Pairs = func() (pairs [1 << 12]uint16) {
	for bits := range pairs {
		pairs[bits] = uint16(base64Alphabet[bits>>6]) | uint16(base64Alphabet[bits&63])<<8
	}
	return pairs
}()

// AppendBase64 appends data as standard base64 with padding. It is twice as fast as the
// standard library, which encodes the last bytes.
func AppendBase64(dst, data []byte) []byte {
	size := base64.StdEncoding.EncodedLen(len(data))
	dst = slices.Grow(dst, size)
	text := dst[len(dst) : len(dst)+size]
	done := 0
	for ; len(data)-done >= 8; done += 6 { // of 8 bytes, 6 are encoded
		w := binary.BigEndian.Uint64(data[done:])
		binary.LittleEndian.PutUint64(text[done/3*4:],
			uint64(base64Pairs[w>>52])|uint64(base64Pairs[w>>40&0xfff])<<16|uint64(base64Pairs[w>>28&0xfff])<<32|uint64(base64Pairs[w>>16&0xfff])<<48)
	}
	base64.StdEncoding.Encode(text[done/3*4:], data[done:])
	return dst[:len(dst)+size]
}

// base64Values has the value of each character of standard base64, for its four places
// in a group. A value is 3 bytes, the first byte of the data in the lowest bits. The
// bit base64Bad is set for all other characters.
var base64Values = func() (values [4][256]uint32) {
	for place := range values {
		for c := range values[place] {
			values[place][c] = base64Bad
		}
		for bits, c := range []byte(base64Alphabet) {
			v := uint32(bits) << (18 - 6*place)
			values[place][c] = v>>16 | v&0xff00 | v&0xff<<16
		}
	}
	return values
}()

const base64Bad = 1 << 31

// decodeBase64 returns the data that a standard base64 text encodes, without line
// breaks and with padding. ok is false for any other text. It is faster than the standard
// library, which decodes the last groups.
func decodeBase64(text string) (data []byte, ok bool) {
	if len(text)%4 != 0 {
		return nil, false
	}
	padding := len(text) - len(strings.TrimRight(text, "="))
	if padding > 2 {
		return nil, false
	}
	data = make([]byte, len(text)/4*3-padding)
	done := decodeGroups(data, text)
	rest := text[done/3*4:]
	if strings.ContainsAny(rest, "\r\n") { // the library skips them
		return nil, false
	}
	n, err := base64.StdEncoding.Strict().Decode(data[done:], []byte(rest))
	return data, err == nil && done+n == len(data)
}

// decodeGroups decodes pairs of groups while they have no padding and dst has room for 8
// bytes. It returns the number of bytes of data, 6 for each pair. It stops before the
// first wrong character.
func decodeGroups(dst []byte, text string) (n int) {
	v := &base64Values
	for len(text) >= 8 && len(dst)-n >= 8 {
		a := v[0][text[0]] | v[1][text[1]] | v[2][text[2]] | v[3][text[3]]
		b := v[0][text[4]] | v[1][text[5]] | v[2][text[6]] | v[3][text[7]]
		if (a|b)&base64Bad != 0 {
			return n
		}
		binary.LittleEndian.PutUint64(dst[n:], uint64(a)|uint64(b)<<24)
		n += 6
		text = text[8:]
	}
	return n
}
