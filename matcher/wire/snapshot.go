package wire

// SnapshotName reads the body of POST of a snapshot. An empty body and a null field are
// an empty name.
func (d *Decoder) SnapshotName(f Format, body []byte) (name string, err error) {
	if len(body) == 0 {
		return "", nil
	}
	err = d.decode(f, body, func(v value) error {
		return v.strictFields(func(key string, v value) (err error) {
			switch {
			case key != "name":
				err = errUnknownField
			case !v.isNull():
				if name, err = v.keptText(); err == nil && name == "" {
					err = badInput("must not be empty")
				}
			}
			return err
		})
	})
	return name, err
}
