package wire

import (
	"fmt"

	"nearside/matcher"
)

// together reads the fields that only references of type together have: parts, the
// references that are treated as one, and fuse. A field that is absent has no nodes.
func (b *binder) together(ref *matcher.Reference, parts, fuse value) (err error) {
	if ref.Type != matcher.RefTogether {
		switch {
		case parts.nodes != nil:
			err = within("references", badInput("must not be given for a reference of type %s", ref.Type))
		case fuse.nodes != nil:
			err = within("fuse", badInput("must not be given for a reference of type %s", ref.Type))
		}
		return err
	}
	if fuse.nodes != nil {
		if ref.Fuse, err = fuse.fuse(); err != nil {
			return within("fuse", err)
		}
	}
	if parts.nodes == nil {
		return within("references", errRequired)
	}
	ref.Parts, err = b.parts(parts)
	return within("references", err)
}

func (v value) fuse() (matcher.Fuse, error) {
	if s, err := v.text(); err == nil {
		if f, err := matcher.ParseFuse(s); err == nil {
			return f, nil
		}
	}
	return 0, v.mustBe("one of best, mean")
}

// parts reads the references of a reference of type together.
func (b *binder) parts(v value) ([]matcher.Reference, error) {
	switch {
	case v.kind() != kindArray:
		return nil, v.mustBe("an array")
	case v.len() == 0:
		return nil, badInput("must not be empty")
	case v.len() > matcher.PartsMax:
		return nil, &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("must have at most %d references, got %d", matcher.PartsMax, v.len())}
	}
	parts := make([]matcher.Reference, v.len())
	err := v.array(func(i int, v value) error {
		if v.kind() == kindObject {
			if t, ok := v.field("type"); ok && t.isText(string(matcher.RefTogether)) {
				return within("type", badInput("must not be together, because references of type together cannot be nested"))
			}
		}
		return b.reference(v, &parts[i])
	})
	return parts, err
}

func (v value) isText(s string) bool {
	text, err := v.text()
	return err == nil && text == s
}
