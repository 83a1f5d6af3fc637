package wire

import (
	"fmt"
	"strings"
	"time"

	"nearside/matcher"
)

// MatchRequest is the body of a match.
type MatchRequest struct {
	References []matcher.Reference
	Candidates []*CandidateSet
}

// CandidateSet is a candidate set, with the parts that the answer repeats.
type CandidateSet struct {
	matcher.Candidates
	Filters Value // as given
	Label   Value // as given; it may be absent
}

// Match reads the body of a match of descriptors of type t. It refuses null. If
// null meant that a filter is absent, every object would pass.
func (d *Decoder) Match(f Format, body []byte, t matcher.DescriptorType) (*MatchRequest, error) {
	req := &MatchRequest{}
	b := binder{Decoder: d, now: d.Now()}
	err := d.decode(f, body, func(v value) error {
		err := v.strictFields(func(key string, v value) (err error) {
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
	now  time.Time
	line bool // the input is a line of an import, not a body
}

// requirement is a required field.
type requirement struct {
	field  string
	absent bool
}

// orRequired returns err if it is not nil. Otherwise it returns the fault of the
// first absent field.
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

// checkType refuses descriptors that do not have type t.
func (b *binder) checkType(refs []matcher.Reference, t matcher.DescriptorType) error {
	for i := range refs {
		if err := b.checkType(refs[i].Parts, t); err != nil {
			return within(indexName(i), within("references", err))
		}
		if refs[i].Descriptor.IsZero() {
			continue
		}
		if v := b.Registry.Version(refs[i].Descriptor.Version); v.Type != t {
			return &fault{
				code: matcher.CodeWrongVersion, path: indexName(i) + ".data.version",
				message: fmt.Sprintf("must be a version of type %s in this match, got %d of type %s", t, v.Number, v.Type),
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

// checkCount checks that v is a list with 1 to limit elements; limit is the value
// of the setting limits.<setting>.
func checkCount(v value, setting string, limit int) error {
	switch {
	case v.kind() != kindArray:
		return v.mustBe("an array")
	case v.len() == 0:
		return badInput("must not be empty")
	case v.len() > limit:
		return tooMany(v.len(), setting, limit)
	}
	return nil
}

func (b *binder) candidateSet(v value) (*CandidateSet, error) {
	set := &CandidateSet{Candidates: matcher.Candidates{Limit: min(limitDefault, b.Limits.Result)}}
	var targets, group value
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "filters":
			set.Origin, set.Filter, set.Filters, err = b.filtersWithEcho(v)
		case "targets":
			targets = v // their names depend on the origin
		case "order":
			set.Order, err = readOrder(v)
		case "label":
			set.Label, err = v.echo()
		case "group":
			group = v // its fields depend on the origin
		default:
			err = b.rankingField(set, key, v)
		}
		return err
	})
	err = orRequired(err, requirement{"filters", set.Filters.IsZero()})
	if err == nil && targets.nodes != nil {
		set.Targets, err = targetsOf(set.Origin, targets)
	}
	if err == nil && group.nodes != nil {
		set.Group, err = grouping(set.Origin, group)
	}
	return set, err
}

// filtersWithEcho reads the filters object of a candidate set, which has the origin; echo
// is its copy for the answer.
func (b *binder) filtersWithEcho(v value) (o matcher.Origin, f matcher.Filter, echo Value, err error) {
	if o, err = readOrigin(v); err != nil {
		return o, f, echo, err
	}
	if f, err = b.bindFilters(o, v); err != nil {
		return o, f, echo, err
	}
	echo, err = v.echo()
	return o, f, echo, err
}

// setField reads a field that both candidate sets and cross matches have.
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

func readOrder(v value) (matcher.Order, error) {
	s, err := v.text()
	if err != nil {
		return 0, err
	}
	o, err := matcher.ParseOrder(s)
	if err != nil {
		return 0, v.mustBe("one of similarity, create_time_asc, create_time_desc")
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
		t := Target(o, s)
		if t == "" {
			return v.mustBe("one of " + strings.Join(Targets(o), ", "))
		}
		if len(targets) == 2*len(Targets(o)) { // some repetition is accepted
			return badInput("must have at most %d targets, got more", 2*len(Targets(o)))
		}
		targets = append(targets, t)
		return nil
	})
	if err != nil {
		return nil, within("targets", err)
	}
	return targets, nil
}
