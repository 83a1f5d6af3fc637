package access

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	publicKeysMax = 100
	rsaBitsMin    = 2048
)

// readPEM adds the public keys of a PEM file.
func (v *verifier) readPEM(text []byte) error {
	before := len(v.keys)
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		public, err := parseBlock(block)
		if err != nil {
			return err
		}
		if err := v.addKey("", public); err != nil {
			return err
		}
	}
	if len(v.keys) == before {
		return errors.New("must be a PEM file with a public key, got none")
	}
	return nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	if strings.Contains(block.Type, "PRIVATE KEY") {
		return nil, errors.New("must have public keys only, got a private key; it belongs to the issuer of the tokens")
	}
	return nil, fmt.Errorf("must have blocks of the type PUBLIC KEY or CERTIFICATE, got %q", block.Type)
}

// addKey adds a public key. Its kind fixes the algorithm.
func (v *verifier) addKey(id string, public any) error {
	algorithm := ""
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < rsaBitsMin {
			return fmt.Errorf("an RSA key must have at least %d bits, got %d", rsaBitsMin, bits)
		}
		algorithm = jwt.SigningMethodRS256.Alg()
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("an elliptic key must be on the curve P-256, got %s", k.Curve.Params().Name)
		}
		algorithm = jwt.SigningMethodES256.Alg()
	case ed25519.PublicKey:
		algorithm = jwt.SigningMethodEdDSA.Alg()
	default:
		return fmt.Errorf("a key must be for RS256, ES256 or EdDSA, got a %T", public)
	}
	if len(v.keys) == publicKeysMax {
		return fmt.Errorf("must have at most %d keys", publicKeysMax)
	}
	v.keys = append(v.keys, verifyKey{id, algorithm, public})
	return nil
}

// webKey is a key of a JSON Web Key Set (RFC 7517, 7518, 8037).
type webKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	X, Y      string
	N, E      string
}

// readJWKS adds the keys of a JSON Web Key Set that are for signatures. Keys of other kinds
// are left out, because issuers also publish keys for other services.
func (v *verifier) readJWKS(text []byte) error {
	var set struct{ Keys []webKey }
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("must be a JSON Web Key Set: %w", err)
	}
	before := len(v.keys)
	for i := range set.Keys {
		k := &set.Keys[i]
		if k.Use == "enc" {
			continue
		}
		public, algorithm, err := k.public()
		if err == nil && public != nil && (k.Algorithm == "" || k.Algorithm == algorithm) {
			err = v.addKey(k.ID, public)
		}
		if err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
	}
	if len(v.keys) == before {
		return errors.New("must have a key for RS256, ES256 or EdDSA, got none")
	}
	return nil
}

// public returns the key and its algorithm. The key is nil if it is of another kind.
func (k *webKey) public() (public any, algorithm string, err error) {
	switch {
	case k.Type == "RSA":
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		exponent := new(big.Int).SetBytes(e)
		if errN != nil || errE != nil || len(n) == 0 || len(e) > 4 || exponent.Int64() < 3 {
			return nil, "", errors.New("n and e must be the numbers of an RSA key in base64url")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, jwt.SigningMethodRS256.Alg(), nil
	case k.Type == "EC" && k.Curve == "P-256":
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			return nil, "", errors.New("x and y must have 32 bytes in base64url")
		}
		point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, "", errors.New("x and y must be a point of the curve P-256")
		}
		return point, jwt.SigningMethodES256.Alg(), nil
	case k.Type == "OKP" && k.Curve == "Ed25519":
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, "", fmt.Errorf("x must have %d bytes in base64url", ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(x), jwt.SigningMethodEdDSA.Alg(), nil
	}
	return nil, "", nil
}
