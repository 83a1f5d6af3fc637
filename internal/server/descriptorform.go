package server

import (
	"nearside/matcher"
	"nearside/matcher/wire"
)

// descriptorForm returns the form of descriptors that ?descriptor asks for. The default
// is an answer without descriptors.
func (x *exchange) descriptorForm() (wire.DescriptorForm, error) {
	switch v, given := x.parameter("descriptor"); {
	case !given || v == "0":
		return wire.NoDescriptors, nil
	case v == "1":
		return wire.BinaryDescriptors, nil
	case v == "numbers":
		return wire.NumberDescriptors(x.limits.Decoder.Registry), nil
	default:
		return wire.NoDescriptors, matcher.Errorf(matcher.CodeBadInput, "descriptor: must be 0, 1 or numbers, got %q", matcher.Shorten(v))
	}
}

// exportForm is descriptorForm for an export, which always has descriptors.
func (x *exchange) exportForm() (wire.DescriptorForm, error) {
	v, given := x.parameter("descriptor")
	if !given {
		return wire.BinaryDescriptors, nil
	}
	form, err := x.descriptorForm()
	if err != nil || !form.Written() {
		return form, matcher.Errorf(matcher.CodeBadInput, "descriptor: must be 1 or numbers in an export, got %q", matcher.Shorten(v))
	}
	return form, nil
}
