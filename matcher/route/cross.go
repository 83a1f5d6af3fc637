package route

import (
	"context"
	"slices"

	"nearside/matcher"
)

// CrossRequest is a decoded cross match: every object of one filter against
// all objects of another.
type CrossRequest struct {
	matcher.CrossMatch
	Forwarded bool // a proxy asks: no remotes are asked in turn
	// ObjectsMax bounds the objects of both filters together; RowsMax the rows
	// of the answer, were the limit used up.
	ObjectsMax, RowsMax int
}

// crossBatch is the references that are matched at a time: enough for passes
// that are bound by arithmetic, and few enough to end soon after the request.
const crossBatch = 1024

// refTypes are the types of references that name objects by ID.
var refTypes = [matcher.Origins]matcher.ReferenceType{matcher.RefFace, matcher.RefEvent, matcher.RefAttribute}

// Cross answers a cross match, by the IDs of the references. Objects without
// the needed descriptor are no references.
func (r *Router) Cross(ctx context.Context, req *CrossRequest) (*Answer, error) {
	switch owners, err := r.crossOwners(req); {
	case err != nil:
		return nil, err
	case len(owners) > 0 && req.Forwarded:
		return nil, matcher.Errorf(matcher.CodeNoMatcher, "references: they are of %s, and the request was forwarded already", matcher.OwnerText(owners))
	case len(owners) > 0:
		return r.crossThere(ctx, req, owners)
	}
	refs, err := r.crossReferences(ctx, req)
	if err != nil {
		return nil, deadline(ctx, err)
	}
	match := &Request{
		Candidates: []*matcher.Candidates{req.Candidates}, Type: req.Type, Account: req.Account, RequestID: req.RequestID,
		Explain: req.Explain, Forwarded: req.Forwarded, RowsMax: req.RowsMax,
	}
	if err := checkRows(match, len(refs)); err != nil {
		return nil, err
	}
	whole := &Answer{}
	for part := range slices.Chunk(refs, crossBatch) {
		a, err := r.match(ctx, match, part)
		if err != nil {
			return nil, err
		}
		whole.References = append(whole.References, a.References...)
		whole.Results = append(whole.Results, a.Results...)
		whole.Plans = append(whole.Plans, a.Plans...)
	}
	return whole, nil
}

// crossReferences selects the references, and checks how much is selected.
func (r *Router) crossReferences(ctx context.Context, req *CrossRequest) ([]matcher.Reference, error) {
	selected := 0
	for _, side := range []*matcher.Candidates{req.References, req.Candidates} {
		rows, err := r.options.Selector.Select(ctx, side, req.Account)
		if err != nil {
			return nil, err
		}
		if selected += rows.Len(); selected > req.ObjectsMax {
			return nil, matcher.Errorf(matcher.CodeCrossLimit, "references and candidates select %d objects or more, the limit is %d", selected, req.ObjectsMax)
		}
	}
	var ids []matcher.ID
	refs := map[matcher.ID]matcher.Reference{}
	err := r.options.Objects.Each(ctx, req.References.Origin, &req.References.Filter, req.Account, func(o *matcher.Object) error {
		if d := o.Descriptor(req.Type); !d.IsZero() {
			ids = append(ids, o.ID)
			refs[o.ID] = matcher.Reference{Type: refTypes[o.Origin], ID: o.ID.String(), Descriptor: d}
		}
		if len(ids) > req.ObjectsMax { // written since
			return matcher.Errorf(matcher.CodeCrossLimit, "references select more than %d objects, which is the limit", req.ObjectsMax)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ids, matcher.ID.Compare)
	sorted := make([]matcher.Reference, len(ids))
	for i, id := range ids {
		sorted[i] = refs[id]
	}
	return sorted, nil
}
