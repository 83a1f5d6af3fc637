package server

import (
	"context"

	"nearside/internal/erase"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// eraseMax is the maximum number of objects that filters may select for one erasure. The
// record of the task has their IDs.
const eraseMax = 1_000_000

// eraseObjects starts the erasure of the objects that the body names or selects.
func (s *Server) eraseObjects(ctx context.Context, x *exchange) error {
	req, err := decodeBody(x, (*wire.Decoder).Erase)
	if err != nil {
		return err
	}
	ids := req.IDs
	if req.Filter != nil {
		ids, err = x.selectErased(ctx, req.Origin, req.Filter)
	} else {
		err = x.checkErased(req.Origin, ids)
	}
	if err != nil {
		return err
	}
	return x.startTask(erase.Kind, "", erase.Request{Origin: req.Origin, IDs: erase.PackIDs(ids), Snapshots: req.Snapshots})
}

// selectErased returns the IDs of the objects that pass f now.
func (x *exchange) selectErased(ctx context.Context, o matcher.Origin, f *matcher.Filter) ([]matcher.ID, error) {
	if err := x.checkAccount(f.Account, "filters."); err != nil {
		return nil, err
	}
	withoutAccount := *f
	withoutAccount.Account = nil
	if withoutAccount.IsZero() {
		return nil, matcher.Errorf(matcher.CodeBadInput, "filters: must have a filter besides account_id; DELETE /1/accounts/{id} erases an account")
	}
	switch names, err := x.options.Store.Owners().Of(o, f); {
	case err != nil:
		return nil, err
	case len(names) > 0:
		return nil, matcher.Errorf(matcher.CodeForbidden, "filters: the selected objects are owned by %s; erase them there", matcher.OwnerText(names))
	}
	ids, err := x.options.Memory.IDs(ctx, o, f, x.account)
	switch {
	case err != nil:
		return nil, err
	case len(ids) > eraseMax:
		return nil, matcher.Errorf(matcher.CodeTooMany, "filters: must select at most %d objects, got %d; narrow them and repeat the request", eraseMax, len(ids))
	case len(ids) == 0:
		return nil, matcher.Errorf(matcher.CodeBadInput, "filters: select no object")
	}
	return ids, nil
}

// checkErased checks objects that are named by their IDs. Objects that do not exist can be
// erased, too: files may still have them after an ordinary delete.
func (x *exchange) checkErased(o matcher.Origin, ids []matcher.ID) error {
	if len(ids) == 0 {
		return matcher.Errorf(matcher.CodeBadInput, "ids: must have at least one id")
	}
	if err := x.options.Store.Owners().CheckOrigin(o); err != nil {
		return err
	}
	if x.account == nil {
		return nil
	}
	for i, id := range ids {
		if _, visible := x.options.Memory.Get(o, id, x.account, false); !visible && x.options.Memory.Has(o, id) {
			return matcher.Errorf(o.NotFound(id).Code, "ids[%d]: %s does not exist", i, id)
		}
	}
	return nil
}

// eraseAccount starts the erasure of everything that belongs to the account in the path.
func (s *Server) eraseAccount(_ context.Context, x *exchange) error {
	id, err := matcher.ParseID(x.Param("id"))
	if err != nil {
		return matcher.Errorf(matcher.CodeBadInput, "id: %w", err)
	}
	if id.IsZero() {
		return matcher.Errorf(matcher.CodeBadInput, "id: must not be the nil UUID, got %s", id)
	}
	if err := x.checkAccount(&id, ""); err != nil {
		return err
	}
	for o := range matcher.Origins {
		if err := x.options.Store.Owners().CheckOrigin(o); err != nil {
			return err
		}
	}
	snapshots, err := x.flag("snapshots")
	if err != nil {
		return err
	}
	return x.startTask(erase.Kind, "", erase.Request{Account: &id, Snapshots: snapshots})
}
