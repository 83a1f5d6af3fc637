package wire

import "nearside/matcher"

// CrossRequest is the body of a cross match.
type CrossRequest struct {
	References matcher.Candidates // origin and filter
	Candidates *CandidateSet
	// ReferenceFilters are the filters of References as given.
	ReferenceFilters Value
}

// Cross reads the body of a cross match.
func (d *Decoder) Cross(f Format, body []byte) (*CrossRequest, error) {
	req := &CrossRequest{}
	set := &CandidateSet{Candidates: matcher.Candidates{Limit: min(limitDefault, d.Limits.Result)}}
	b := binder{Decoder: d, now: d.Now()}
	var hasReferences, hasCandidates bool
	err := d.decode(f, body, func(v value) error {
		var targets value
		err := v.strictFields(func(key string, v value) (err error) {
			switch key {
			case "references":
				hasReferences = true
				req.References.Origin, req.References.Filter, req.ReferenceFilters, err = b.crossSide(v)
			case "candidates":
				hasCandidates = true
				set.Origin, set.Filter, set.Filters, err = b.crossSide(v)
			case "targets":
				targets = v // their names depend on the origin
			default:
				err = b.setField(set, key, v)
			}
			return err
		})
		err = orRequired(err, requirement{"references", !hasReferences}, requirement{"candidates", !hasCandidates})
		if err == nil && targets.nodes != nil {
			set.Targets, err = targetsOf(set.Origin, targets)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	req.Candidates = set
	return req, nil
}

// crossSide reads {"filters": {...}}. echo is a copy of the filters for the answer.
func (b *binder) crossSide(v value) (o matcher.Origin, f matcher.Filter, echo Value, err error) {
	err = v.strictFields(func(key string, v value) (err error) {
		if key != "filters" {
			return errUnknownField
		}
		o, f, echo, err = b.filtersWithEcho(v)
		return err
	})
	return o, f, echo, orRequired(err, requirement{"filters", echo.IsZero()})
}
