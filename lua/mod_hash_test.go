package lua

import (
	"fmt"
	"strings"
	"testing"

	"nearside/lua/luatest"
)

// moduleTest returns a function that runs Lua in a plugin and compares the result with a
// text. "error x" means that the script raises an error that contains x.
func moduleTest(t *testing.T, change ...func(*Options)) func(body, want string) {
	t.Helper()
	h, _ := startHost(t, luatest.BackgroundPlugin(""), change...)
	in := h.current.Load().plugins[0].main.first()
	return func(body, want string) {
		t.Helper()
		got, err := in.run(t, body)
		text := fmt.Sprint(got)
		if fault, ok := strings.CutPrefix(want, "error "); ok {
			if err == nil || !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v %v, want %s", body, text, err, want)
			}
		} else if err != nil || text != want {
			t.Errorf("%s: %v %v, want %s", body, text, err, want)
		}
	}
}

// TestHashes compares with digests that Python has computed. Byte i of the text of length n
// is 7i+n, byte i of the key 3i+1; the key has n%200 bytes.
func TestHashes(t *testing.T) {
	f := moduleTest(t)
	for _, v := range []struct {
		n                       int
		md5, sha1, sha512, hmac string // the first 32 digits of the last two
	}{
		{0, "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "cf83e1357eefb8bdf1542850d66d8007", "b613679a0814d9ec772f95d778c35fc5"},
		{1, "55a54008ad1ba589aa210d2629c1df41", "bf8b4530d8d246dd74ac53a13471bba17941dff7", "7b54b66836c1fbdd13d2441d9e1434dc", "00428c350bfa16e2290663af38cfba0f"},
		{55, "f1289732253518750e22b62a571a1748", "63ac9708fb581dd150d3647549f9e0cb51dcf1df", "19910fbb344bf57448fff9ee9a58106f", "00ddf8719648d6029299408fc8f6e27c"},
		{64, "e3ab394ce4eb7da020a27d2e2443143c", "5f55a35e13f1865e7ffc22dca1275b1a49b0ff56", "afba2b1a4441b2333a7f48688f7a6e38", "6d28204cdcd8461c27031951e991a653"},
		{111, "d54c1b85b05a0800af2c6d01394f0421", "6f3940d34dd76944c03f3ba2825a385c92d8300e", "df79e18538ec82120d0eb59f92ade93f", "805c1d7e18f6ff189644b318e7ba30c5"},
		{128, "52cc29caecfd9380a2261a80c58e6787", "0a44ac02432f6ead67d86fcb70a4d8ce589e50ec", "eb5119a4c3e176a3e0cb2bf8a6237bdc", "2ec3d11cc9686a429c5a062c1c2fb61b"},
		{1000, "c3b2968d34e038455d14c8827156e193", "7461968a9edb9b418224f1acb305d2feeaa10ba5", "5c9833a6b6d14cabd5256ae50e921716", "5161dc30172c5dd72da069199fe5160c"},
	} {
		text := fmt.Sprintf(`local b, k = {}, {} for i = 0, %d - 1 do b[i + 1] = string.char((i * 7 + %d) %% 256) if i < %d then k[i + 1] = string.char((i * 3 + 1) %% 256) end end
local b, k, h = table.concat(b), table.concat(k), ns.hash return `, v.n, v.n, v.n%200)
		f(text+"h.md5(b)", v.md5)
		f(text+"h.sha1(b)", v.sha1)
		f(text+"h.sha512(b):sub(1, 32) .. #h.sha512(b)", v.sha512+"128")
		f(text+`h.hmac("sha256", k, b):sub(1, 32)`, v.hmac)
	}
	f(`return ns.hash.hmac("md5", "Jefe", "what do ya want for nothing?")`, "750c783e6ab0b503eaa86e310a5db738")
	f(`return ns.hash.hmac("sha1", "Jefe", "what do ya want for nothing?")`, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
	f(`return ns.hash.hmac("sha512", "Jefe", "what do ya want for nothing?"):sub(1, 32)`, "164b7a7bfcf819e2e395fbe73b56e0a3")
	f(`return ns.hash.hmac("sha265", "k", "b")`, `error algorithm: "sha265" is not one of ["md5" "sha1" "sha256" "sha512"]; did you mean "sha256"?`)
	f(`return ns.hash.equal("abc", "abc")`, "true")
	f(`return ns.hash.equal("abc", "abd") or ns.hash.equal("abc", "ab") or ns.hash.equal("", "a")`, "false")
	f(`return ns.hash.equal("", "")`, "true")
	f(`return ns.hash.equal(nil, "a")`, "error bad argument #1")
	f(`local s = ("x"):rep(2^24) for i = 1, 5 do ns.hash.sha1(s) end`, "error allocated more than 64 MiB")
}

func TestHex(t *testing.T) {
	f := moduleTest(t)
	f(`return ns.hex.encode("\0\1z\255")`, "00017aff")
	f(`return ns.hex.decode("00017aFF") == "\0\1z\255"`, "true")
	f(`return ns.hex.encode("") .. ns.hex.decode("")`, "")
	f(`return select(2, ns.hex.decode("0"))`, "the text is not an even number of hexadecimal digits: encoding/hex: odd length hex string")
	f(`return select(2, ns.hex.decode("0g"))`, "the text is not an even number of hexadecimal digits: encoding/hex: invalid byte: U+0067 'g'")
	f(`local s = {} for i = 0, 255 do s[i] = string.char(i) end s = table.concat(s, "", 0, 255) return ns.hex.decode(ns.hex.encode(s)) == s`, "true")
}
