package wire

import (
	"errors"
	"math"

	"nearside/matcher"
)

// Answer is the answer of a match as a client reads it.
type Answer []AnswerItem

// AnswerItem answers one reference.
type AnswerItem struct {
	Reference matcher.Reference // without its descriptor
	Matches   []AnswerSet       // one per candidate set
}

// AnswerSet has the rows of one candidate set.
type AnswerSet struct {
	Rows     []AnswerRow
	Count    int
	HasCount bool
	Plan     *Plan // nil: the answer has no plan
}

// AnswerRow is one match. Fields that the answer does not have are zero.
type AnswerRow struct {
	Object                     matcher.Object // of any origin; its ID may be absent
	Similarity, Distance       float64        // the similarity is 0..1, the distance 0 or more
	HasSimilarity, HasDistance bool
	Group                      string // the value by which the rows are grouped
}

// ParseAnswer reads the answer of a match or of a cross match. It skips fields
// that it does not know, so that a client can be older than its server, and
// treats null as absent. The parts that every answer has are required: the
// matches of an item, the result of a set, the one object of a row.
//
// A hostile body can take about 140 times its size in memory before it is
// refused for too many values. The caller bounds the size of the body by the size
// of the request.
func ParseAnswer(f Format, body []byte) (Answer, error) {
	var answer []AnswerItem
	d := Decoder{}
	err := d.decode(f, body, func(v value) error { return each(v, &answer, value.answerItem) })
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (v value) answerItem(item *AnswerItem) error {
	hasMatches := false
	err := v.presentFields(func(key string, v value) error {
		switch key {
		case "reference":
			return v.answerReference(&item.Reference)
		case "matches":
			hasMatches = true
			return each(v, &item.Matches, value.answerSet)
		}
		return nil
	})
	return orRequired(err, requirement{"matches", !hasMatches})
}

// each reads the elements of v and appends them to all.
func each[T any](v value, all *[]T, read func(value, *T) error) error {
	return v.array(func(_ int, v value) error {
		var x T
		err := read(v, &x)
		*all = append(*all, x)
		return err
	})
}

// lenientFields calls visit for each field of an object. Unlike strictFields, it
// allows repeated fields.
func (v value) lenientFields(visit func(key string, v value) error) error {
	if v.kind() != kindObject {
		return v.mustBe("an object")
	}
	rest := v.nodes[1:]
	for range v.len() {
		if err := visit(rest[0].text, value{rest[1:]}); err != nil {
			return within(matcher.Shorten(rest[0].text), err)
		}
		rest = rest[1+rest[1].size:]
	}
	return nil
}

// presentFields is lenientFields without the fields that are null.
func (v value) presentFields(visit func(key string, v value) error) error {
	return v.lenientFields(func(key string, v value) error {
		if v.isNull() {
			return nil
		}
		return visit(key, v)
	})
}

func (v value) answerReference(ref *matcher.Reference) error {
	return v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "type":
			var s string
			s, err = v.keptText()
			ref.Type = matcher.ReferenceType(s)
		case "id":
			ref.ID, err = v.keptText()
		case "object_id":
			ref.ObjectID, err = v.id()
		}
		return err
	})
}

func (v value) answerSet(set *AnswerSet) error {
	hasResult := false
	err := v.presentFields(func(key string, v value) error {
		switch key {
		case "result":
			hasResult = true
			return each(v, &set.Rows, value.answerRow)
		case "count":
			set.HasCount = true
			n, err := v.count()
			set.Count = n
			return err
		case "plan":
			set.Plan = &Plan{}
			return v.answerPlan(set.Plan)
		}
		return nil
	})
	return orRequired(err, requirement{"result", !hasResult})
}

func (v value) answerRow(row *AnswerRow) error {
	objects := 0
	object := func(o matcher.Origin, v value) error {
		objects++
		row.Object.Origin = o
		return rowBinder.clientObject(v, &row.Object, false)
	}
	err := v.presentFields(func(key string, v value) (err error) {
		switch key {
		case "face":
			err = object(matcher.Faces, v)
		case "event":
			err = object(matcher.Events, v)
		case "attribute":
			err = object(matcher.Attributes, v)
		case similarity:
			row.HasSimilarity = true
			row.Similarity, err = v.number(0, 1)
		case distance:
			row.HasDistance = true
			row.Distance, err = v.number(0, math.MaxFloat64)
		case "group":
			row.Group, err = v.keptText()
		}
		return err
	})
	if err == nil && objects != 1 {
		err = badInput("must have one of face, event and attribute, got %d", objects)
	}
	return err
}

// ErrorAnswer is the body of an error as a client reads it.
type ErrorAnswer struct {
	Code               matcher.Code
	Desc, Detail, Link string
}

// ParseError reads the body of an error.
func ParseError(f Format, body []byte) (*ErrorAnswer, error) {
	a := &ErrorAnswer{}
	d := Decoder{}
	err := d.decode(f, body, func(v value) error {
		return v.presentFields(func(key string, v value) (err error) {
			switch key {
			case "error_code":
				var n int64
				n, err = v.integer(0, 1<<31-1)
				a.Code = matcher.Code(n)
			case "desc":
				a.Desc, err = v.keptText()
			case "detail":
				a.Detail, err = v.keptText()
			case "link":
				a.Link, err = v.keptText()
			}
			return err
		})
	})
	if err == nil && a.Code == 0 {
		err = errors.New("wire: not an error of nearside: error_code is missing")
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}
