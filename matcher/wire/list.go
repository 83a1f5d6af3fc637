package wire

import "nearside/matcher"

// ListInput is the list of a request that creates it.
type ListInput struct {
	List              matcher.List
	HasID, HasAccount bool
	HasTime           bool // false: the list has no CreateTime yet
}

// List reads the body of POST of a list. A null field is absent.
func (d *Decoder) List(f Format, body []byte) (*ListInput, error) {
	in := &ListInput{}
	err := d.decode(f, body, func(v value) error {
		return v.strictFields(func(key string, v value) (err error) {
			switch {
			case key != "list_id" && key != "account_id" && key != "user_data" && key != "create_time":
				err = errUnknownField
			case v.isNull():
			case key == "list_id":
				in.HasID = true
				in.List.ID, err = v.objectID()
			case key == "account_id":
				in.HasAccount = true
				in.List.Account, err = v.objectID()
			case key == "create_time":
				in.HasTime = true
				in.List.CreateTime, err = v.time()
			default:
				in.List.UserData, err = v.keptText()
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// ListPatch reads the body of PATCH of a list and returns a function that applies
// it to a list: it sets user_data, and null clears it. list_id and account_id may
// be given, but must be those of the list.
func (d *Decoder) ListPatch(f Format, body []byte) (func(*matcher.List) error, error) {
	var id, account *matcher.ID
	var userData *string
	err := d.decode(f, body, func(v value) error {
		return v.strictFields(func(key string, v value) (err error) {
			switch key {
			case "list_id":
				id, err = v.fixedID()
			case "account_id":
				account, err = v.fixedID()
			case "user_data":
				userData = new(string)
				if !v.isNull() {
					*userData, err = v.keptText()
				}
			default:
				err = errUnknownField
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return func(l *matcher.List) error {
		if id != nil && *id != l.ID {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: %s cannot be changed to %s", l.ID, id)
		}
		if account != nil && *account != l.Account {
			return matcher.AccountChange(l.Account, *account)
		}
		if userData != nil {
			l.UserData = *userData
		}
		return nil
	}, nil
}

// fixedID reads an id that a patch can neither change nor clear.
func (v value) fixedID() (*matcher.ID, error) {
	if v.isNull() {
		return nil, badInput("cannot be cleared")
	}
	id, err := v.objectID()
	return &id, err
}

// LinkRequest attaches faces to a list, or detaches them.
type LinkRequest struct {
	Attach  bool // false: detach
	ListID  matcher.ID
	FaceIDs []matcher.ID // in the order of the request; at least one
}

// Linker reads the body of PATCH of the linker.
func (d *Decoder) Linker(f Format, body []byte) (*LinkRequest, error) {
	req := &LinkRequest{}
	b := binder{Decoder: d}
	hasAction := false
	err := d.decode(f, body, func(v value) error {
		err := v.strictFields(func(key string, v value) (err error) {
			switch key {
			case "action":
				hasAction = true
				req.Attach, err = readAttach(v)
			case "list_id":
				req.ListID, err = v.objectID()
			case "face_ids":
				if err = checkCount(v, "filter_values", d.Limits.FilterValues); err == nil {
					req.FaceIDs, err = b.ids(v)
				}
			default:
				err = errUnknownField
			}
			return err
		})
		return orRequired(err, requirement{"action", !hasAction},
			requirement{"list_id", req.ListID.IsZero()}, requirement{"face_ids", req.FaceIDs == nil})
	})
	if err != nil {
		return nil, err
	}
	return req, nil
}

func readAttach(v value) (bool, error) {
	switch s, err := v.text(); {
	case err == nil && s == "attach":
		return true, nil
	case err == nil && s == "detach":
		return false, nil
	}
	return false, v.mustBe("attach or detach")
}
