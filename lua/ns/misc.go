package ns

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"nearside/lua/vm"
	"nearside/matcher"
)

// Base64Module is ns.base64: standard base64 with padding.
func Base64Module() vm.Module {
	return vm.Module{Name: "base64", Doc: "Base64.", Functions: []vm.Function{
		{
			Name: "encode", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "Encodes bytes.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 16)
				c.Allocate(3 * len(c.Text(1)))
				return c.Return(base64.StdEncoding.EncodeToString([]byte(c.Text(1))))
			},
		},
		{
			Name: "decode", Params: []string{"text: string"}, Returns: []string{"string?", "string? err"}, Doc: "Decodes text.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1)) / 16)
				c.Allocate(len(c.Text(1)))
				b, err := base64.StdEncoding.DecodeString(c.Text(1))
				if err != nil {
					return c.Fail(err)
				}
				return c.Return(b)
			},
		},
	}}
}

// HashModule is ns.hash.
func HashModule() vm.Module {
	return vm.Module{Name: "hash", Doc: "Hashes.", Functions: []vm.Function{
		{
			Name: "sha256", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "SHA-256, as 64 hexadecimal digits.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1))/8 + 20)
				c.Allocate(len(c.Text(1)))
				sum := sha256.Sum256([]byte(c.Text(1)))
				return c.Return(hex.EncodeToString(sum[:]))
			},
		},
		{
			Name: "crc32", Params: []string{"bytes: string"}, Returns: []string{"string"}, Doc: "CRC-32 (IEEE), as 8 hexadecimal digits.",
			Run: func(c *vm.Call) error {
				c.Charge(len(c.Text(1))/64 + 20)
				c.Allocate(len(c.Text(1)))
				return c.Return(fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(c.Text(1)))))
			},
		},
	}}
}

// miscModule has the functions and values of the root module that fit nowhere else.
func miscModule() vm.Module {
	return vm.Module{
		Functions: []vm.Function{
			{
				Name: "extend", Params: []string{"base: table", "m: table"}, Returns: []string{"table m"},
				Doc: "Copies the hooks and fields of base that m lacks, and returns m: how a plugin inherits. Metatables of a plugin's table are not read.",
				Run: func(c *vm.Call) error { return c.ReturnExtended(1, 2) },
			},
			{
				Name: "uuid", Returns: []string{"string"}, Doc: "Makes a random id (UUID version 4).",
				Run: func(c *vm.Call) error {
					c.Charge(20)
					return c.Return(matcher.NewID().String())
				},
			},
		},
		Values: []vm.Value{
			{Name: "conf", Type: "table", Doc: "The plugin's settings, defaults filled in: a copy at each use.", Get: func(c *vm.Call) any { return self(c).Plugin.Settings }},
			{Name: "name", Type: "string", Doc: "The plugin's name.", Get: func(c *vm.Call) any { return self(c).Plugin.About.Name }},
			{Name: "version", Type: "string", Doc: "The plugin's version.", Get: func(c *vm.Call) any { return self(c).Plugin.About.Version }},
		},
	}
}
