package wire

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestDecodeBase64 compares decodeBase64 with the standard library: for every length up
// to 100, with every character replaced at every place of a short text, and with random
// changes.
func TestDecodeBase64(t *testing.T) {
	check := func(text string) {
		t.Helper()
		want, err := base64.StdEncoding.Strict().DecodeString(text)
		wantOK := err == nil && !strings.ContainsAny(text, "\r\n") // the library skips line breaks
		if data, ok := decodeBase64(text); ok != wantOK || ok && !bytes.Equal(data, want) {
			t.Fatalf("%q: %x, %v; want %x, %v", text, data, ok, want, wantOK)
		}
	}
	rng := seeded(6)
	for length := range 101 {
		data := make([]byte, length)
		for range 20 {
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			text := []byte(base64.StdEncoding.EncodeToString(data))
			check(string(text))
			check(string(text[:rng.IntN(len(text)+1)]))
			check(string(text) + "=")
			check(string(text) + "\n\n\n\n")
			for range 20 {
				if len(text) > 0 {
					changed := bytes.Clone(text)
					changed[rng.IntN(len(text))] = byte(rng.Uint32())
					check(string(changed))
				}
			}
		}
	}
	for _, text := range []string{"QUJDREVGR0hJSktMTU5P", "QUJDREVGR0hJSktMTU4=", "QUJDREVGR0hJSktMTQ=="} {
		for i := range text {
			for c := range 256 {
				check(text[:i] + string([]byte{byte(c)}) + text[i+1:])
			}
		}
	}
}

// TestAppendBase64 compares AppendBase64 with the standard library for every length up to
// 600, with and without room behind the text.
func TestAppendBase64(t *testing.T) {
	rng := seeded(7)
	for length := range 601 {
		data := make([]byte, length)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		for _, dst := range [][]byte{nil, []byte("before"), make([]byte, 3, 2000)} {
			want := base64.StdEncoding.AppendEncode(bytes.Clone(dst), data)
			if got := AppendBase64(dst, data); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes after %q: %q, want %q", length, dst, got, want)
			}
		}
	}
}
