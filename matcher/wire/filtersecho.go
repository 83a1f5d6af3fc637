package wire

// Filters returns the field filters of a body that Find or Delete has accepted. The result is
// absent if the body has no such field.
func (d *Decoder) Filters(f Format, body []byte) (echo Value, err error) {
	err = d.decode(f, body, func(v value) (err error) {
		if v.kind() != kindObject {
			return nil
		}
		if given, ok := v.field("filters"); ok {
			echo, err = given.echo()
		}
		return err
	})
	return echo, err
}

// JSON returns v as JSON, or nil if it is absent.
func (v Value) JSON() []byte {
	if v.IsZero() {
		return nil
	}
	w := NewWriter(nil, JSON)
	w.Value(v)
	return w.Done()
}
