package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// issuer signs tokens by itself, so that the tests do not depend on the library that the
// package verifies them with.
type issuer struct {
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	ed     ed25519.PrivateKey
	secret []byte
}

func newIssuer() *issuer {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return &issuer{
		testkit.Must(rsa.GenerateKey(rand.Reader, 2048)), testkit.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), ed,
		[]byte(strings.Repeat("secret 7", 5)),
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign returns a token. key is a private key, or the bytes of an HMAC key; nil: no signature.
func sign(head, claims map[string]any, key any) string {
	text := b64(testkit.Must(json.Marshal(head))) + "." + b64(testkit.Must(json.Marshal(claims)))
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	switch k := key.(type) {
	case []byte:
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		signature = testkit.Must(rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(text))
	}
	return text + "." + b64(signature)
}

func pemOf(public any) string {
	der := testkit.Must(x509.MarshalPKIXPublicKey(public))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// write writes a file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var (
	tokenTime   = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	someAccount = testkit.Must(matcher.ParseID("aaaaaaaa-0000-4000-8000-000000000001"))
)

// claims returns good claims with changes. A nil value removes a claim.
func claims(change map[string]any) map[string]any {
	all := map[string]any{"exp": tokenTime.Add(time.Minute).Unix(), "aud": "nearside", "iss": "https://issuer", "sub": "ann", "roles": []string{"read"}}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// accept returns a policy that accepts tokens.
func accept(t *testing.T, c JWT) *Policy {
	t.Helper()
	c.Audience, c.RolesClaim, c.AccountClaim = "nearside", "roles", "account_id"
	p, err := New(Config{JWT: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checker returns a function that checks how a policy answers a token.
func checker(t *testing.T, p *Policy) func(token, want string) *Caller {
	return func(token, want string) *Caller {
		t.Helper()
		c, err := p.Identify(token, tokenTime)
		switch {
		case want == "" && err != nil:
			t.Errorf("%v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || matcher.CodeOf(err) != matcher.CodeUnauthorized):
			t.Errorf("%+v, %v, want %q", c, err, want)
		}
		if err != nil {
			for part := range strings.SplitSeq(token, ".") {
				if len(part) > 8 && strings.Contains(err.Error(), part) {
					t.Errorf("the error has a part of the token: %v", err)
				}
			}
		}
		return c
	}
}

// TestAlgorithms checks that the kind of the key decides which algorithm is accepted.
func TestAlgorithms(t *testing.T) {
	i, stranger := newIssuer(), newIssuer()
	publics := pemOf(&i.rsa.PublicKey) + pemOf(&i.ec.PublicKey) + pemOf(i.ed.Public())
	check := checker(t, accept(t, JWT{PublicKeyFile: write(t, publics)}))
	signed := func(alg string, key any) string {
		return sign(map[string]any{"alg": alg, "typ": "JWT"}, claims(nil), key)
	}
	check(signed("RS256", i.rsa), "")
	check(signed("ES256", i.ec), "")
	check(signed("EdDSA", i.ed), "")
	for _, s := range []string{signed("RS256", stranger.rsa), signed("ES256", stranger.ec), signed("EdDSA", stranger.ed)} {
		check(s, "signature")
	}
	// Key confusion: a public key is not a secret.
	for _, secret := range []string{publics, pemOf(&i.rsa.PublicKey), strings.TrimSpace(pemOf(&i.rsa.PublicKey)), "", string(i.secret)} {
		check(signed("HS256", []byte(secret)), "algorithm")
	}
	check(signed("HS256", testkit.Must(x509.MarshalPKIXPublicKey(&i.rsa.PublicKey))), "algorithm")
	check(signed("none", nil), "algorithm")
	check(signed("None", nil), "not valid")
	check(signed("RS512", i.rsa), "algorithm")
	check(signed("PS256", i.rsa), "algorithm")
	check(signed("ES384", i.ec), "algorithm")
	check(signed("RS256", i.ec), "signature") // an algorithm of another key
	check(signed("ES256", i.rsa), "signature")
	check(signed("EdDSA", i.ec), "signature")
	check(sign(map[string]any{"typ": "JWT"}, claims(nil), i.rsa), "not valid")
	check(sign(map[string]any{"alg": "RS256", "crit": []string{"b64"}, "b64": false}, claims(nil), i.rsa), "no key fits")
	good := signed("EdDSA", i.ed)
	head, rest, _ := strings.Cut(good, ".")
	check(head+"x."+rest, "not valid")
	check(good+"x", "not valid")
	check(good+".", "malformed")
	check(head, "malformed")
	check("", "malformed")
	body, signature, _ := strings.Cut(rest, ".")
	check(head+"."+b64(testkit.Must(json.Marshal(claims(map[string]any{"roles": "admin"}))))+"."+signature, "signature")
	check(head+"."+body+".", "signature")
	check(sign(map[string]any{"alg": "EdDSA"}, claims(map[string]any{"fill": strings.Repeat("x", tokenBytesMax)}), i.ed), "at most 8192 bytes")

	// A secret accepts nothing but HS256.
	check = checker(t, accept(t, JWT{SecretFile: write(t, string(i.secret)+"\n")}))
	check(signed("HS256", i.secret), "")
	check(signed("HS256", append(i.secret, '\n')), "signature")
	check(signed("HS384", i.secret), "algorithm")
	check(signed("RS256", i.rsa), "algorithm")
	check(signed("none", nil), "algorithm")

	// Both files: each algorithm with its own key.
	check = checker(t, accept(t, JWT{SecretFile: write(t, string(i.secret)), PublicKeyFile: write(t, publics)}))
	check(signed("HS256", i.secret), "")
	check(signed("RS256", i.rsa), "")
	check(signed("HS256", []byte(publics)), "signature")

	// A server without access.jwt refuses tokens.
	p, _ := someKeys(t, tokenTime)
	checker(t, p)(good, "the key is not valid")
}

// TestClaims checks the claims of tokens.
func TestClaims(t *testing.T) {
	i := newIssuer()
	p := accept(t, JWT{SecretFile: write(t, string(i.secret)), Issuer: "https://issuer"})
	verify := checker(t, p)
	check := func(change map[string]any, want string) *Caller {
		t.Helper()
		return verify(sign(map[string]any{"alg": "HS256"}, claims(change), i.secret), want)
	}
	at := func(d time.Duration) int64 { return tokenTime.Add(d).Unix() }
	c := check(nil, "")
	if c.Name != "jwt:ann" || c.Role != Read || c.Account != nil || c.Lists != nil || c.Begin(tokenTime) != nil {
		t.Errorf("%+v", c)
	}
	c.End()
	check(map[string]any{"exp": nil}, "claim is missing")
	check(map[string]any{"exp": "soon"}, "not valid")
	check(map[string]any{"exp": at(-29 * time.Second)}, "")
	check(map[string]any{"exp": at(-31 * time.Second)}, "has expired")
	check(map[string]any{"nbf": at(29 * time.Second)}, "")
	check(map[string]any{"nbf": at(31 * time.Second)}, "not valid yet")
	check(map[string]any{"aud": nil}, "claim is missing")
	check(map[string]any{"aud": "other"}, "audience")
	check(map[string]any{"aud": "nearside2"}, "audience")
	check(map[string]any{"aud": []string{"other", "nearside"}}, "")
	check(map[string]any{"aud": []string{}}, "not valid")
	check(map[string]any{"iss": nil}, "claim is missing")
	check(map[string]any{"iss": "https://issuer/"}, "issuer")
	for _, x := range []struct {
		roles any
		want  Role
	}{
		{nil, NoRole},
		{[]string{}, NoRole},
		{"", NoRole},
		{7, NoRole},
		{true, NoRole},
		{map[string]any{"admin": true}, NoRole},
		{[]any{1, nil}, NoRole},
		{"Admin", NoRole},
		{"openid match", Match},
		{[]string{"x", "write", "match"}, Write},
		{"admin", Admin},
	} {
		if c := check(map[string]any{"roles": x.roles}, ""); c.Role != x.want {
			t.Errorf("%v: %s, want %s", x.roles, c.Role, x.want)
		}
	}
	if c := check(map[string]any{"account_id": someAccount.String()}, ""); c.Account == nil || *c.Account != someAccount {
		t.Errorf("%+v", c)
	}
	for _, wrong := range []any{json.RawMessage("null"), "", "x", 7, []string{someAccount.String()}, matcher.ID{}.String()} {
		check(map[string]any{"account_id": wrong}, "account_id")
	}
	check(map[string]any{"account_id": someAccount.String(), "roles": "admin"}, "admin and an account")
	for subject, want := range map[any]string{nil: "jwt", 7: "jwt", "": "jwt", "a\nb": "jwt:a?b", strings.Repeat("é", 100): "jwt:" + strings.Repeat("é", 64)} {
		if c := check(map[string]any{"sub": subject}, ""); c.Name != want {
			t.Errorf("%q, want %q", c.Name, want)
		}
	}
	p.tokens.config.RolesClaim = "realm_access.roles"
	if c := check(map[string]any{"realm_access": map[string]any{"roles": []string{"write"}}}, ""); c.Role != Write {
		t.Errorf("%+v", c)
	}
	if c := check(map[string]any{"realm_access.roles": "match", "realm_access": map[string]any{"roles": "admin"}}, ""); c.Role != Match {
		t.Errorf("%+v", c)
	}
	if c := check(map[string]any{"realm_access": "admin"}, ""); c.Role != NoRole {
		t.Errorf("%+v", c)
	}
}

// TestKeySet checks JSON Web Key Sets.
func TestKeySet(t *testing.T) {
	i := newIssuer()
	point := testkit.Must(i.ec.PublicKey.Bytes())
	set := func(more ...string) string {
		return `{"keys":[` + strings.Join(append([]string{
			fmt.Sprintf(`{"kty":"RSA","kid":"r","use":"sig","alg":"RS256","n":%q,"e":%q}`, b64(i.rsa.N.Bytes()), b64(big.NewInt(int64(i.rsa.E)).Bytes())),
			fmt.Sprintf(`{"kty":"EC","kid":"e","crv":"P-256","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:])),
			fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(i.ed.Public().(ed25519.PublicKey))),
			`{"kty":"oct","k":"` + b64(i.secret) + `"}`, // secrets and unknown keys are left out
			`{"kty":"EC","crv":"secp256k1"}`, `{"kty":"new"}`,
			fmt.Sprintf(`{"kty":"RSA","kid":"x","use":"enc","n":%q,"e":"AQAB"}`, b64(newIssuer().rsa.N.Bytes())),
		}, more...), ",") + `]}`
	}
	check := checker(t, accept(t, JWT{JWKSFile: write(t, set())}))
	signed := func(alg, kid string, key any) string {
		head := map[string]any{"alg": alg}
		if kid != "" {
			head["kid"] = kid
		}
		return sign(head, claims(nil), key)
	}
	check(signed("RS256", "r", i.rsa), "")
	check(signed("RS256", "", i.rsa), "")
	check(signed("RS256", "e", i.rsa), "not valid")
	check(signed("RS256", "x", i.rsa), "not valid")
	check(signed("ES256", "e", i.ec), "")
	check(signed("ES256", "r", i.ec), "not valid")
	check(signed("EdDSA", "any", i.ed), "") // the key has no kid
	check(signed("HS256", "", i.secret), "algorithm")

	fault := func(c JWT, want string) {
		t.Helper()
		if _, err := New(Config{JWT: c}, nil); err == nil || !strings.HasPrefix(err.Error(), "access.jwt.") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	fault(JWT{JWKSFile: write(t, "{")}, "jwks_file: must be a JSON Web Key Set")
	fault(JWT{JWKSFile: write(t, `{"keys":[]}`)}, "got none")
	fault(JWT{JWKSFile: write(t, `{"keys":[{"kty":"oct","k":"eA"}]}`)}, "got none")
	fault(JWT{JWKSFile: write(t, set(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`))}, "keys[7]: an RSA key must have at least 2048 bits")
	fault(JWT{JWKSFile: write(t, set(`{"kty":"RSA","n":"*","e":"AQAB"}`))}, "keys[7]: n and e")
	fault(JWT{JWKSFile: write(t, set(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`))}, "keys[7]: x and y must have 32 bytes")
	fault(JWT{JWKSFile: write(t, set(`{"kty":"EC","crv":"P-256","x":"`+b64(point[1:33])+`","y":"`+b64(point[1:33])+`"}`))}, "must be a point")
	fault(JWT{JWKSFile: write(t, set(`{"kty":"OKP","crv":"Ed25519","x":"AQ"}`))}, "must have 32 bytes")
	fault(JWT{JWKSFile: "/nowhere"}, "/nowhere: no such file")
	fault(JWT{PublicKeyFile: write(t, "x")}, "public_key_file: must be a PEM file")
	small := testkit.Must(rsa.GenerateKey(rand.Reader, 1024))
	fault(JWT{PublicKeyFile: write(t, pemOf(&small.PublicKey))}, "at least 2048 bits, got 1024")
	p384 := testkit.Must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	fault(JWT{PublicKeyFile: write(t, pemOf(&p384.PublicKey))}, "must be on the curve P-256, got P-384")
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: testkit.Must(x509.MarshalPKCS8PrivateKey(i.ed))})
	fault(JWT{PublicKeyFile: write(t, string(private))}, "got a private key")
	fault(JWT{PublicKeyFile: write(t, string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte{1}})))}, `got "X"`)
	fault(JWT{SecretFile: write(t, strings.Repeat("x", 31)+"\n")}, "secret_file: must have at least 32 bytes, got 31")
	fault(JWT{SecretFile: write(t, pemOf(&i.rsa.PublicKey))}, "got a PEM file")
	fault(JWT{SecretFile: write(t, strings.Repeat("x", fileBytesMax+1))}, "must have at most")
}
