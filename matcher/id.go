package matcher

import (
	"bytes"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID. IDs compare by their bytes, which is also the order of their
// lower-case texts. The zero ID means that there is no ID.
type ID [16]byte

// NewID returns a random ID (UUID version 4).
func NewID() ID { return ID(uuid.New()) }

// NameID derives an ID from name (UUID version 5 in the URL namespace), so that
// a repeated import writes the same objects.
func NameID(name string) ID { return ID(uuid.NewSHA1(uuid.NameSpaceURL, []byte(name))) }

// ParseID reads the 36-character form, in either case.
func ParseID(s string) (ID, error) {
	if len(s) != 36 { // uuid.Parse also takes urn:uuid:, braces and no dashes
		return ID{}, fmt.Errorf("must be a UUID, got %q", Shorten(s))
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("must be a UUID, got %q", Shorten(s))
	}
	return ID(u), nil
}

// MustID is ParseID for constants and tests. It panics on an error.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// String returns the lower-case text.
func (id ID) String() string { return uuid.UUID(id).String() }

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// Compare returns -1, 0 or 1 in the order of the text.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// AccountText returns the text that names an account in an error.
func AccountText(account ID) string {
	if account.IsZero() {
		return "no account"
	}
	return account.String()
}

// Visible reports whether a request of account sees the data of owner; account is
// nil for requests that see everything.
func Visible(account *ID, owner ID) bool { return account == nil || *account == owner }
