package route

import (
	"context"
	"slices"
	"time"

	"nearside/matcher"
)

// CrossRequest is a decoded cross match: every object of one filter against
// all objects of another.
type CrossRequest struct {
	matcher.CrossMatch
	Forwarded bool // the client is a proxy, so no remotes are asked
	// ObjectsMax bounds the objects that both filters select together. RowsMax
	// bounds the rows of the answer if every reference has limit rows.
	ObjectsMax, RowsMax int
	// Reserve is called after plugins have changed the candidate set. It may wait until there
	// is memory for the changed answer. nil: it is not called.
	Reserve func(ctx context.Context) error
}

// request returns the cross match as a request for its local part.
func (req *CrossRequest) request() *Request {
	return &Request{
		Candidates: []*matcher.Candidates{req.Candidates}, Type: req.Type, Account: req.Account, Key: req.Key, Route: req.Route,
		RequestID: req.RequestID, Explain: req.Explain, Forwarded: req.Forwarded, RowsMax: req.RowsMax, Reserve: req.Reserve,
		referenceSet: req.References, cross: true,
	}
}

// crossBatch is how many references are matched together. More references use
// the processor better, fewer let the work end sooner after the request was
// cancelled.
const crossBatch = 1024

// refTypes are the types of references that name objects by ID.
var refTypes = [matcher.Origins]matcher.ReferenceType{matcher.RefFace, matcher.RefEvent, matcher.RefAttribute}

// Cross answers a cross match. The references are sorted by ID. Objects without a
// descriptor of the needed type are not references. Plugins may change the candidate set
// of the request, except for its origin and filter.
func (r *Router) Cross(ctx context.Context, asked *CrossRequest) (*Answer, error) {
	c := r.newContest(asked.Forwarded, r.options.Plugins)
	defer c.release()
	match := asked.request()
	if err := c.callRequestHooks(ctx, match); err != nil {
		return nil, err
	}
	changed := *asked
	req := &changed
	req.Candidates = match.Candidates[0]
	switch owners, err := r.crossOwners(req); {
	case err != nil:
		return nil, err
	case len(owners) > 0 && req.Forwarded:
		return nil, matcher.Errorf(matcher.CodeNoMatcher, "references: they belong to %s, but the request was already forwarded", matcher.OwnerText(owners))
	case len(owners) > 0:
		return r.crossRemote(ctx, req, match, owners)
	}
	start := time.Now()
	moment := r.options.Moments.Moment(req.Account, nil, []*matcher.Candidates{req.References, req.Candidates})
	refs, err := crossReferences(ctx, req, moment)
	if err != nil {
		return nil, deadlineError(ctx, err)
	}
	match.loading = time.Since(start)
	if err := checkRows(match, len(refs)); err != nil {
		return nil, err
	}
	all := &Answer{}
	for batch := range slices.Chunk(refs, crossBatch) {
		a, err := r.match(ctx, match, batch, moment)
		if err != nil {
			return nil, err
		}
		all.References = append(all.References, a.References...)
		all.Results = append(all.Results, a.Results...)
		all.Plans = append(all.Plans, a.Plans...)
		all.PluginOrder = all.PluginOrder || a.PluginOrder
	}
	return all, nil
}

// checkCross refuses a cross match that compares more objects than the limit.
// References count if they have a descriptor, candidates if they have a descriptor
// of a version that a reference has.
func checkCross(ctx context.Context, req *CrossRequest, moment matcher.Moment) error {
	references, err := moment.Select(ctx, req.References, req.Account)
	if err != nil {
		return err
	}
	candidates, err := moment.Select(ctx, req.Candidates, req.Account)
	if err != nil {
		return err
	}
	if references.Len()+candidates.Len() <= req.ObjectsMax {
		return nil
	}
	objects, candidatesOf := 0, candidates.Versions(req.Type)
	for version, n := range references.Versions(req.Type) {
		objects += n + candidatesOf[version]
	}
	if objects > req.ObjectsMax {
		return matcher.Errorf(matcher.CodeCrossLimit, "references and candidates: they select %d objects with a %s descriptor to compare, the limit is %d",
			objects, req.Type, req.ObjectsMax)
	}
	return nil
}

// crossReferences checks the number of objects to compare and returns the
// references.
func crossReferences(ctx context.Context, req *CrossRequest, moment matcher.Moment) ([]matcher.Reference, error) {
	if err := checkCross(ctx, req, moment); err != nil {
		return nil, err
	}
	var ids []matcher.ID
	refs := map[matcher.ID]matcher.Reference{}
	err := moment.Each(ctx, req.References, req.Type, req.Account, func(o *matcher.Object) error {
		ids = append(ids, o.ID)
		refs[o.ID] = matcher.Reference{Type: refTypes[o.Origin], ID: o.ID.String(), Descriptor: o.Descriptor(req.Type)}
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
