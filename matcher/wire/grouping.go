package wire

import "nearside/matcher"

// rankingField reads a field of a candidate set that groups, skips, counts or leaves out
// rows.
func (b *binder) rankingField(set *CandidateSet, key string, v value) (err error) {
	switch key {
	case "offset":
		var n int64
		n, err = v.integer(0, int64(b.Limits.Offset))
		set.Offset = int(n)
	case "count":
		set.Count, err = v.boolean()
	case "exclude_self":
		set.ExcludeSelf, err = v.boolean()
	default:
		err = b.setField(set, key, v)
	}
	return err
}

// grouping reads a group of objects of o.
func grouping(o matcher.Origin, v value) (*matcher.Grouping, error) {
	g := &matcher.Grouping{Size: 1}
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "by":
			g.By, err = groupField(o, v)
		case "size":
			var n int64
			n, err = v.integer(1, matcher.GroupSizeMax)
			g.Size = int(n)
		default:
			err = errUnknownField
		}
		return err
	})
	if err = orRequired(err, requirement{"by", g.By == nil}); err != nil {
		return nil, within("group", err)
	}
	return g, nil
}

// groupField reads the name of the field by which objects of o are grouped.
func groupField(o matcher.Origin, v value) (matcher.GroupField, error) {
	name, err := v.text()
	if err != nil {
		return nil, err
	}
	fields := matcher.GroupFields(o)
	for _, f := range fields {
		if f.Name == name {
			return f, nil
		}
	}
	if len(fields) == 0 {
		return nil, badInput("%s cannot be grouped, got %s", o, v.quote())
	}
	return nil, v.mustBe("one of " + matcher.GroupNames(fields) + " for " + o.String())
}

// grouping writes a group as grouping reads it.
func (w *Writer) grouping(g *matcher.Grouping) {
	w.Object()
	w.Key("by")
	w.String(g.By.Name)
	w.Key("size")
	w.Int(int64(g.Size))
	w.EndObject()
}

// objectKey reads the object to which a descriptor belongs: its type and its ID.
func objectKey(v value) (*matcher.ObjectKey, error) {
	var key matcher.ObjectKey
	var hasType, hasID bool
	err := v.strictFields(func(name string, v value) (err error) {
		switch name {
		case "type":
			hasType = true
			key.Origin, err = originNamed(v)
		case "id":
			hasID = true
			key.ID, err = v.objectID()
		default:
			err = errUnknownField
		}
		return err
	})
	err = orRequired(err, requirement{"type", !hasType}, requirement{"id", !hasID})
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// originNamed reads the singular name of an origin.
func originNamed(v value) (matcher.Origin, error) {
	name, err := v.text()
	if err != nil {
		return 0, err
	}
	for o := range matcher.Origins {
		if o.Singular() == name {
			return o, nil
		}
	}
	return 0, v.mustBe("one of face, event, attribute")
}

// objectKey writes the object to which a descriptor belongs.
func (w *Writer) objectKey(key matcher.ObjectKey) {
	w.Object()
	w.Key("type")
	w.String(key.Origin.Singular())
	w.Key("id")
	w.ID(key.ID)
	w.EndObject()
}
