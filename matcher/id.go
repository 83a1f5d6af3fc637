package matcher

import (
	"bytes"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID. IDs compare as their lower-case text does, which is the order
// of their bytes. The zero ID stands for "none".
type ID [16]byte

// NewID returns a random ID (UUID version 4).
func NewID() ID { return ID(uuid.New()) }

// NameID returns the ID that name always has (UUID version 5 in the URL
// namespace), so that an import run twice writes the same objects.
func NameID(name string) ID { return ID(uuid.NewSHA1(uuid.NameSpaceURL, []byte(name))) }

// ParseID reads the 36-character form, in either case.
func ParseID(s string) (ID, error) {
	if len(s) != 36 { // uuid.Parse also takes urn:uuid:, braces and no dashes
		return ID{}, fmt.Errorf("%q is not a UUID", shorten(s))
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("%q is not a UUID", shorten(s))
	}
	return ID(u), nil
}

// MustID is ParseID for constants and tests; it panics on a fault.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// String returns the lower-case text.
func (id ID) String() string { return uuid.UUID(id).String() }

// IsZero reports whether id stands for "none".
func (id ID) IsZero() bool { return id == ID{} }

// Compare returns -1, 0 or 1 in the order of the text.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// shorten keeps a client's value short enough to be quoted in an error.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
