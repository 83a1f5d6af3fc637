package wire

import (
	"slices"

	"nearside/matcher"
)

// FieldNames returns the names of the fields of objects of o, without descriptors. The
// first one is the ID. The caller owns the slice.
func FieldNames(o matcher.Origin) []string {
	return slices.Clone(targetNames[o][:len(targetNames[o])-2])
}

// DescriptorNames returns the names of the fields of descriptors of o, by type; "": objects
// of o have no descriptor of this type.
func DescriptorNames(o matcher.Origin) [matcher.DescriptorTypes]string { return descriptorNames[o] }
