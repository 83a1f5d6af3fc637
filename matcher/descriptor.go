package matcher

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Descriptor is a vector of a version. Data is little-endian and must not be
// changed once the descriptor was handed on. The zero Descriptor is "none".
type Descriptor struct {
	Version uint32
	Data    []byte
}

// IsZero reports whether d is "none".
func (d Descriptor) IsZero() bool { return d.Version == 0 }

// sdkMagic opens an SDK descriptor: "dp\0\0", uint32 version, data.
const sdkMagic = "dp\x00\x00"

// sdkHeader is the number of bytes before the data.
const sdkHeader = len(sdkMagic) + 4

// IsSDK reports whether b begins like an SDK descriptor.
func IsSDK(b []byte) bool { return len(b) >= len(sdkMagic) && string(b[:len(sdkMagic)]) == sdkMagic }

// ParseSDK reads an SDK descriptor; its Data is part of b. It checks the
// header, not whether the version is registered or the length fits.
func ParseSDK(b []byte) (Descriptor, error) {
	if !IsSDK(b) {
		return Descriptor{}, errors.New(`no SDK descriptor: it does not begin with "dp\0\0"`)
	}
	if len(b) < sdkHeader {
		return Descriptor{}, fmt.Errorf("no SDK descriptor: %d bytes are shorter than its header of %d", len(b), sdkHeader)
	}
	return Descriptor{Version: binary.LittleEndian.Uint32(b[len(sdkMagic):]), Data: b[sdkHeader:]}, nil
}

// AppendSDK appends d in SDK form to dst.
func (d Descriptor) AppendSDK(dst []byte) []byte {
	dst = append(dst, sdkMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, d.Version)
	return append(dst, d.Data...)
}

// Check returns the version of d, or a fault that a client is told of:
// CodeUnknownVersion or CodeBadInput.
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
