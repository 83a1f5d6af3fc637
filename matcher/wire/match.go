package wire

import (
	"time"

	"nearside/matcher"
)

// MatchRequest is the body of a match.
type MatchRequest struct {
	References []matcher.Reference
	Candidates []*CandidateSet
}

// CandidateSet is a candidate set, and what of it the answer repeats.
type CandidateSet struct {
	matcher.Candidates
	Filters Value // as given
	Label   Value // as given; none when it was absent
}

// Match reads the body of a match of descriptors of type t. Null is no value
// here: a filter that is null would let everything pass.
func (d *Decoder) Match(f Format, body []byte, t matcher.DescriptorType) (*MatchRequest, error) {
	req := &MatchRequest{}
	b := binder{Decoder: d, now: d.Now()}
	err := d.decode(f, body, func(v value) error {
		err := v.object(func(key string, v value) (err error) {
			switch key {
			case "references":
				req.References, err = b.references(v, "references", d.Limits.References)
				if err == nil {
					err = b.checkType(req.References, t)
				}
			case "candidates":
				req.Candidates, err = b.candidates(v)
			default:
				err = errUnknownField
			}
			return err
		})
		return orRequired(err,
			requirement{"references", req.References == nil}, requirement{"candidates", req.Candidates == nil})
	})
	if err != nil {
		return nil, err
	}
	return req, nil
}

// binder binds one request.
type binder struct {
	*Decoder
	now time.Time
}

// requirement is a field that must be there.
type requirement struct {
	field  string
	absent bool
}

// orRequired returns err, or else the fault of the first absent field.
func orRequired(err error, fields ...requirement) error {
	if err != nil {
		return err
	}
	for _, r := range fields {
		if r.absent {
			return within(r.field, errRequired)
		}
	}
	return nil
}

// checkType refuses descriptors of another type than the match uses.
func (b *binder) checkType(refs []matcher.Reference, t matcher.DescriptorType) error {
	for i := range refs {
		if refs[i].Descriptor.IsZero() {
			continue
		}
		if v := b.Registry.Version(refs[i].Descriptor.Version); v.Type != t {
			return &fault{
				code: matcher.CodeWrongVersion, path: index(i) + ".data.version",
				message: "version " + number(v.Number) + " is of type " + v.Type.String() + ", this match is of type " + t.String(),
			}
		}
	}
	return nil
}

func (b *binder) candidates(v value) ([]*CandidateSet, error) {
	if err := checkCount(v, "candidates", b.Limits.Candidates); err != nil {
		return nil, err
	}
	sets := make([]*CandidateSet, 0, v.len())
	err := v.array(func(_ int, v value) error {
		set, err := b.candidateSet(v)
		sets = append(sets, set)
		return err
	})
	return sets, err
}

// checkCount checks that v is a list of 1..most; limit is the name of most.
func checkCount(v value, limit string, most int) error {
	switch {
	case v.kind() != kindArray:
		return v.no("a list")
	case v.len() == 0:
		return badInput("must not be empty")
	case v.len() > most:
		return tooMany(v.len(), limit, most)
	}
	return nil
}

func (b *binder) candidateSet(v value) (*CandidateSet, error) {
	set := &CandidateSet{Candidates: matcher.Candidates{Limit: min(limitDefault, b.Limits.Result)}}
	var targets value
	err := v.object(func(key string, v value) (err error) {
		switch key {
		case "filters":
			set.Origin, set.Filter, set.Filters, err = b.filters(v)
		case "targets":
			targets = v // their names depend on the origin
		case "order":
			set.Order, err = order(v)
		case "label":
			set.Label, err = v.echo()
		default:
			err = b.setField(set, key, v)
		}
		return err
	})
	err = orRequired(err, requirement{"filters", set.Filters.IsZero()})
	if err == nil && targets.nodes != nil {
		set.Targets, err = targetsOf(set.Origin, targets)
	}
	return set, err
}

// filters reads a filters object; echo is what an answer repeats of it.
func (b *binder) filters(v value) (o matcher.Origin, f matcher.Filter, echo Value, err error) {
	if o, err = origin(v); err != nil {
		return o, f, echo, err
	}
	if f, err = b.filter(o, v); err != nil {
		return o, f, echo, err
	}
	echo, err = v.echo()
	return o, f, echo, err
}

// setField reads the fields that candidate sets and cross matches have.
func (b *binder) setField(set *CandidateSet, key string, v value) (err error) {
	switch key {
	case "limit":
		var n int64
		n, err = v.integer(1, int64(b.Limits.Result))
		set.Limit = int(n)
	case "threshold":
		set.Threshold, err = v.number(0, 1)
	default:
		err = errUnknownField
	}
	return err
}

func order(v value) (matcher.Order, error) {
	s, err := v.text()
	if err != nil {
		return 0, err
	}
	o, err := matcher.ParseOrder(s)
	if err != nil {
		return 0, v.no("one of similarity, create_time_asc, create_time_desc")
	}
	return o, nil
}

func targetsOf(o matcher.Origin, v value) ([]string, error) {
	targets := []string{}
	err := v.array(func(_ int, v value) error {
		s, err := v.text()
		if err != nil {
			return err
		}
		t := targetNamed(o, s)
		if t == "" {
			return v.no("a target of " + o.String())
		}
		if len(targets) == 2*len(Targets(o)) { // repeated ones add nothing
			return badInput("more targets than there are names")
		}
		targets = append(targets, t)
		return nil
	})
	if err != nil {
		return nil, within("targets", err)
	}
	return targets, nil
}
