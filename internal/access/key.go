package access

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"nearside/matcher"
)

const (
	keyPrefix = "ns_"
	keyChars  = 32 // after the prefix
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Key is a key of the configuration. Only the hash of the key itself is known.
type Key struct {
	Name       string // unique
	SHA256     [sha256.Size]byte
	Roles      []Role
	Account    matcher.ID   // the only account that the key sees; zero: all accounts
	Lists      []matcher.ID // the only lists that the key sees; empty: all lists
	Rate       Rate         // zero: no limit
	Concurrent int          // requests at once; 0: no limit
	Expires    time.Time    // zero: never
}

// role returns the highest role of the key.
func (k *Key) role() Role { return highest(k.Roles) }

func highest(roles []Role) Role {
	role := NoRole
	for _, r := range roles {
		role = max(role, r)
	}
	return role
}

// Expired reports whether the key is not valid any more at now.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Check returns why the key cannot be configured, or nil. The error begins with the field.
func (k *Key) Check() error {
	switch {
	case k.role() == NoRole:
		return errors.New("roles: must have at least one of match, read, write, admin")
	case k.role() == Admin && !k.Account.IsZero():
		return errors.New("account_id: must not be given together with the role admin, which may do everything")
	case k.role() == Admin && len(k.Lists) > 0:
		return errors.New("lists: must not be given together with the role admin, which may do everything")
	}
	return nil
}

// NewKey returns a new key from a cryptographic source of random numbers. It has about 190
// random bits.
func NewKey() string {
	const unbiased = 256 / len(base62) * len(base62) // larger bytes would make some characters more likely
	key := make([]byte, 0, len(keyPrefix)+keyChars)
	key = append(key, keyPrefix...)
	var random [2 * keyChars]byte
	for {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if int(b) >= unbiased {
				continue
			}
			if key = append(key, base62[int(b)%len(base62)]); len(key) == cap(key) {
				return string(key)
			}
		}
	}
}

var (
	keyForm  = regexp.MustCompile(`^ns_[0-9A-Za-z]{32}$`)
	keyFound = regexp.MustCompile(`ns_[0-9A-Za-z]{32}|\beyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*`)
)

// IsKey reports whether text has the form of a key.
func IsKey(text string) bool { return keyForm.MatchString(text) }

// HasCredential reports whether a part of text has the form of a key or of a token.
func HasCredential(text string) bool {
	return (strings.Contains(text, keyPrefix) || strings.Contains(text, "eyJ")) && keyFound.MatchString(text)
}

// Mask returns text with mask in the place of each key and token.
func Mask(text, mask string) string {
	if !HasCredential(text) {
		return text
	}
	return keyFound.ReplaceAllString(text, mask)
}

// HashKey returns the hash of a key, as the configuration has it.
func HashKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// CheckCredential returns why a text cannot be sent as a key or a token, or nil. The error
// does not have the text.
func CheckCredential(text string) error {
	switch {
	case text == "":
		return errors.New("must be a key, got an empty text")
	case len(text) > tokenBytesMax:
		return fmt.Errorf("must have at most %d bytes, got %d", tokenBytesMax, len(text))
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("must be a key, which has no spaces and no special characters")
	}
	return nil
}

// ReadKeyFile reads a file with one key or token. White space around it does not count.
func ReadKeyFile(name string) (string, error) {
	text, err := readFile(name)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(text))
	if err := CheckCredential(key); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// Rate is a number of requests per time.
type Rate struct {
	Requests int           // 0: no limit
	Per      time.Duration // a second, a minute or an hour
}

// RateMax is the largest number of requests of a Rate.
const RateMax = 1_000_000

var rateUnits = []struct {
	name string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}

// ParseRate parses a text such as 200/s, 90/m or 1000/h.
func ParseRate(s string) (Rate, error) {
	count, unit, _ := strings.Cut(s, "/")
	for _, u := range rateUnits {
		if n, err := strconv.ParseUint(count, 10, 32); err == nil && u.name == unit && 1 <= n && n <= RateMax {
			return Rate{int(n), u.per}, nil
		}
	}
	return Rate{}, fmt.Errorf("must be a number of requests from 1 to %d per s, m or h, such as 200/s, got %q", RateMax, matcher.Shorten(s))
}

// String returns the form that ParseRate parses. It is empty without a limit.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.Requests > 0 && r.Per == u.per {
			return strconv.Itoa(r.Requests) + "/" + u.name
		}
	}
	return ""
}

// perSecond returns the number of requests per second.
func (r Rate) perSecond() float64 { return float64(r.Requests) / r.Per.Seconds() }
