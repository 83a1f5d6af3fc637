package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Descriptor is a vector of a version. Data is little-endian and must not be
// changed once the descriptor was passed on. The zero Descriptor means that there is
// no descriptor.
type Descriptor struct {
	Version uint32
	Data    []byte
}

// IsZero reports whether d is the zero Descriptor.
func (d Descriptor) IsZero() bool { return d.Version == 0 }

// sdkMagic begins an SDK descriptor. The version, as a uint32, and the data follow.
const sdkMagic = "dp\x00\x00"

// sdkHeader is the number of bytes before the data.
const sdkHeader = len(sdkMagic) + 4

// IsSDK reports whether b begins like an SDK descriptor.
func IsSDK(b []byte) bool { return len(b) >= len(sdkMagic) && string(b[:len(sdkMagic)]) == sdkMagic }

// ParseSDK reads an SDK descriptor; its Data is part of b. It checks only the
// header: the version may be unknown, and the data may have a wrong length.
func ParseSDK(b []byte) (Descriptor, error) {
	if !IsSDK(b) {
		return Descriptor{}, errors.New(`must begin with "dp\0\0", as SDK descriptors do`)
	}
	if len(b) < sdkHeader {
		return Descriptor{}, fmt.Errorf("must have at least the %d bytes of an SDK descriptor's header, got %d", sdkHeader, len(b))
	}
	return Descriptor{Version: binary.LittleEndian.Uint32(b[len(sdkMagic):]), Data: b[sdkHeader:]}, nil
}

// Check returns the version of d, or an [Error] with CodeUnknownVersion or
// CodeBadInput.
func (r *Registry) Check(d Descriptor) (*Version, error) {
	v := r.Version(d.Version)
	if v == nil {
		return nil, Errorf(CodeUnknownVersion, "version: %d is not registered", d.Version)
	}
	if err := v.CheckData(d.Data); err != nil {
		return nil, Errorf(CodeBadInput, "data: %w", err)
	}
	return v, nil
}
