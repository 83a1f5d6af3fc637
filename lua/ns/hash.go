package ns

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"maps"
	"slices"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// hashes are the cryptographic hash functions, by name.
var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// HashModule is ns.hash.
func HashModule() vm.Module {
	m := vm.Module{Name: "hash", Doc: "Hash functions. Digests are hexadecimal digits in lower case; hex.decode returns their bytes.", Functions: []vm.Function{
		{
			Name: "crc32", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "Returns the CRC-32 (IEEE) of bytes as 8 hexadecimal digits.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1))/64 + 20)
				c.Allocate(len(c.Text(1)))
				return c.Return(fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(c.Text(1)))))
			},
		},
		{
			Name: "hmac", Params: []string{"algorithm: \"md5\"|\"sha1\"|\"sha256\"|\"sha512\"", "key: string", "bytes: string"}, Returns: []string{"string"},
			Doc: "Returns the HMAC of bytes with key.", Run: hashHMAC,
		},
		{
			Name: "equal", Params: []string{"a: string", "b: string"}, Returns: []string{"boolean"},
			Doc: "Reports whether two texts are equal. The time does not depend on where they differ, so use it to compare a digest or a key with a secret one.",
			Run: func(c *vm.Call) error {
				a, b := c.Text(1), c.Text(2)
				c.Charge((len(a) + len(b)) / 16)
				c.Allocate(len(a) + len(b))
				return c.Return(subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1)
			},
		},
	}}
	for _, name := range slices.Sorted(maps.Keys(hashes)) {
		m.Functions = append(m.Functions, hashFunction(name))
	}
	return m
}

// hashFunction returns the function ns.hash.<name>.
func hashFunction(name string) vm.Function {
	create := hashes[name]
	return vm.Function{
		Name: name, Params: []string{"bytes: string"}, Returns: []string{"string"},
		Doc: fmt.Sprintf("Returns the %s hash of bytes as %d hexadecimal digits.", name, 2*create().Size()),
		Run: func(c *vm.Call) error { return returnDigest(c, create(), c.Text(1)) },
	}
}

func hashHMAC(c *vm.Call) error {
	create, ok := hashes[c.Text(1)]
	if !ok {
		names := slices.Sorted(maps.Keys(hashes))
		return fmt.Errorf("algorithm: %q is not one of %q%s", cutText(c.Text(1), 64), names, goval.DidYouMean(c.Text(1), names))
	}
	key := c.Text(2)
	c.Charge(len(key)/4 + 40)
	c.Allocate(len(key))
	return returnDigest(c, hmac.New(create, []byte(key)), c.Text(3))
}

// returnDigest returns the digest of text. h is new.
func returnDigest(c *vm.Call, h hash.Hash, text string) error {
	c.Charge(len(text)/4 + 20)
	c.Allocate(len(text) + 4*h.Size())
	_, _ = h.Write([]byte(text)) // a hash never fails
	return c.Return(hex.EncodeToString(h.Sum(nil)))
}

// HexModule is ns.hex.
func HexModule() vm.Module {
	return vm.Module{Name: "hex", Doc: "Hexadecimal digits.", Functions: []vm.Function{
		{
			Name: "encode", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "Encodes bytes as hexadecimal digits in lower case.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 8)
				c.Allocate(5 * len(c.Text(1)))
				return c.Return(hex.EncodeToString([]byte(c.Text(1))))
			},
		},
		{
			Name: "decode", Params: []string{"text: string"}, Returns: []string{"string?", "string? err"},
			Doc: "Decodes hexadecimal digits in lower or upper case. Returns nil and an error if text is not valid.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 8)
				c.Allocate(2 * len(c.Text(1)))
				b, err := hex.DecodeString(c.Text(1))
				if err != nil {
					return c.Fail(fmt.Errorf("the text is not an even number of hexadecimal digits: %w", err))
				}
				return c.Return(b)
			},
		},
	}}
}
