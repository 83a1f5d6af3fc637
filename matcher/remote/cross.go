package remote

import (
	"context"
	"errors"
	"fmt"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Cross implements [matcher.Remote].
func (r *Remote) Cross(ctx context.Context, m *matcher.CrossMatch) (refs []matcher.Reference, results []matcher.Result, err error) {
	err = r.makeCall(ctx, &call{
		method: "POST", path: "/1/crossmatcher/" + plural(m.Type), query: query(m.Account, m.Explain), requestID: m.RequestID, objects: answerMax / objectBytes, // the number is unknown
		place: crossPlacer,
		body:  wire.AppendCrossRequest(nil, wire.MessagePack, m.References, m.Candidates, checkTargets(m.Account)...),
		read: func(f wire.Format, body []byte) error {
			answer, err := wire.ParseAnswer(f, body)
			if err != nil {
				return err
			}
			refs, results = make([]matcher.Reference, len(answer)), make([]matcher.Result, len(answer))
			for i, item := range answer {
				if _, err := matcher.ParseID(item.Reference.ID); err != nil || i > 0 && refs[i-1].ID >= item.Reference.ID {
					return errors.New("its references are not UUIDs in ascending order")
				}
				if len(item.Matches) != 1 {
					return fmt.Errorf("a reference must have one item of matches, got %d", len(item.Matches))
				}
				refs[i] = item.Reference
				if results[i], err = resultOf(m.Candidates, m.Account, &item.Matches[0]); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, nil, err
	}
	return refs, results, nil
}
