package access

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"nearside/matcher"
)

// JWT configures JSON Web Tokens. Tokens are accepted if one of the files is given. Which
// file has the key decides which algorithm is accepted.
type JWT struct {
	PublicKeyFile string // PEM; RS256, ES256 or EdDSA
	JWKSFile      string // JSON Web Key Set; RS256, ES256 or EdDSA
	SecretFile    string // HS256
	Issuer        string // required value of iss; empty: any
	Audience      string // a required value of aud
	RolesClaim    string
	AccountClaim  string
}

func (c *JWT) configured() bool {
	return c.PublicKeyFile != "" || c.JWKSFile != "" || c.SecretFile != ""
}

const (
	leeway        = 30 * time.Second // by which clocks may differ
	tokenBytesMax = 8 << 10
	fileBytesMax  = 1 << 20
	secretMin     = 32 // bytes; a shorter one could be guessed
	subjectMax    = 128
)

// verifier verifies tokens.
type verifier struct {
	config JWT
	keys   []verifyKey
	secret []byte   // nil: HS256 is refused
	valid  []string // algorithms
}

// verifyKey is a public key of tokens.
type verifyKey struct {
	id        string // kid; empty: not given
	algorithm string
	public    any
}

// newVerifier reads the keys. It returns nil if c accepts no tokens. The error begins with
// the setting.
func newVerifier(c JWT) (*verifier, error) {
	if !c.configured() {
		return nil, nil
	}
	v := &verifier{config: c}
	for _, source := range []struct {
		setting, file string
		read          func([]byte) error
	}{
		{"public_key_file", c.PublicKeyFile, v.readPEM}, {"jwks_file", c.JWKSFile, v.readJWKS}, {"secret_file", c.SecretFile, v.readSecret},
	} {
		if source.file == "" {
			continue
		}
		text, err := readFile(source.file)
		if err == nil {
			err = source.read(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.setting, err)
		}
	}
	for _, k := range v.keys {
		if !slices.Contains(v.valid, k.algorithm) {
			v.valid = append(v.valid, k.algorithm)
		}
	}
	if v.secret != nil {
		v.valid = append(v.valid, jwt.SigningMethodHS256.Alg())
	}
	return v, nil
}

// readFile reads a small file. The error names it.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the file was only read
	text, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err == nil && len(text) > fileBytesMax {
		err = fmt.Errorf("%s: must have at most %d bytes", name, fileBytesMax)
	}
	return text, err
}

func (v *verifier) readSecret(text []byte) error {
	secret := strings.TrimRight(string(text), "\r\n") // editors add a newline
	switch {
	case strings.Contains(secret, "-----BEGIN"):
		return errors.New("must be a random secret for HS256, got a PEM file; public keys belong into public_key_file")
	case len(secret) < secretMin:
		return fmt.Errorf("must have at least %d bytes, got %d", secretMin, len(secret))
	}
	v.secret = []byte(secret)
	return nil
}

// identify returns the caller that a token names.
func (v *verifier) identify(token string, now time.Time) (*Caller, error) {
	if len(token) > tokenBytesMax {
		return nil, matcher.Errorf(matcher.CodeUnauthorized, "the token must have at most %d bytes, got %d", tokenBytesMax, len(token))
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(v.valid), jwt.WithLeeway(leeway), jwt.WithExpirationRequired(), jwt.WithAudience(v.config.Audience),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if v.config.Issuer != "" {
		options = append(options, jwt.WithIssuer(v.config.Issuer))
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.NewParser(options...).ParseWithClaims(token, claims, v.keysOf); err != nil {
		return nil, matcher.Errorf(matcher.CodeUnauthorized, "the token is not valid: %s", reasonOf(err))
	}
	return v.callerOf(claims)
}

// keysOf returns the keys that may have signed a token. Its algorithm is one of v.valid.
func (v *verifier) keysOf(t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical {
		return nil, errors.New("crit is not supported")
	}
	algorithm := t.Method.Alg()
	if algorithm == jwt.SigningMethodHS256.Alg() {
		return v.secret, nil
	}
	id, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, k := range v.keys {
		if k.algorithm == algorithm && (id == "" || k.id == "" || k.id == id) {
			set.Keys = append(set.Keys, k.public)
		}
	}
	return set, nil
}

// reasonOf returns why a token was refused. The text has nothing of the token.
func reasonOf(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{jwt.ErrTokenMalformed, "it is malformed"},
		{jwt.ErrTokenSignatureInvalid, "its signature or its algorithm is wrong"},
		{jwt.ErrTokenUnverifiable, "no key fits its algorithm and kid"},
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenInvalidAudience, "its audience is another one"},
		{jwt.ErrTokenInvalidIssuer, "its issuer is another one"},
		{jwt.ErrTokenRequiredClaimMissing, "a required claim is missing: exp, aud, or iss if an issuer is configured"},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return "its claims are wrong"
}

// callerOf returns the caller that valid claims describe. A token without roles has no
// role, and a token without the claim of an account sees all accounts. An account of null is
// an error, because an issuer may send it for a user without an account.
func (v *verifier) callerOf(claims jwt.MapClaims) (*Caller, error) {
	roles, _ := claimAt(claims, v.config.RolesClaim)
	caller := &Caller{Name: "jwt", Role: rolesOf(roles)}
	if subject, err := claims.GetSubject(); err == nil && subject != "" {
		caller.Name = "jwt:" + printable(subject)
	}
	if given, ok := claimAt(claims, v.config.AccountClaim); ok {
		text, _ := given.(string)
		account, err := matcher.ParseID(text)
		switch {
		case err != nil || account.IsZero():
			return nil, matcher.Errorf(matcher.CodeUnauthorized, "the token is not valid: the claim %s is not the id of an account", v.config.AccountClaim)
		case caller.Role == Admin:
			return nil, matcher.Errorf(matcher.CodeUnauthorized, "the token is not valid: it has the role admin and an account")
		}
		caller.Account = &account
	}
	return caller, nil
}

// printable returns at most subjectMax bytes of a subject, with control characters and
// bytes that are not UTF-8 replaced.
func printable(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(subject, "?"))
	if len(subject) > subjectMax {
		subject = strings.ToValidUTF8(subject[:subjectMax], "")
	}
	return subject
}

// claimAt returns the claim with a name; ok is false if there is none. A name with dots, such as
// realm_access.roles, can also lead into the objects of other claims.
func claimAt(claims map[string]any, name string) (claim any, ok bool) {
	if v, ok := claims[name]; ok {
		return v, true
	}
	first, rest, nested := strings.Cut(name, ".")
	if below, ok := claims[first].(map[string]any); nested && ok {
		return claimAt(below, rest)
	}
	return nil, false
}

// rolesOf returns the highest role of a claim: an array of names, or names separated by
// spaces. Other names are ignored, because issuers have roles of other services, too.
func rolesOf(claim any) Role {
	var names []string
	switch claim := claim.(type) {
	case string:
		names = strings.Fields(claim)
	case []any:
		for _, v := range claim {
			if name, ok := v.(string); ok {
				names = append(names, name)
			}
		}
	}
	role := NoRole
	for _, name := range names {
		if r, err := ParseRole(name); err == nil {
			role = max(role, r)
		}
	}
	return role
}
