package remote

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// idsPerCall keeps the URL of a call below 8 KiB, a length that all services
// accept.
const idsPerCall = 200

// Find implements [matcher.Remote].
func (r *Remote) Find(ctx context.Context, o matcher.Origin, ids []matcher.ID, account *matcher.ID, requestID string) ([]matcher.Object, error) {
	var all []matcher.Object
	size := idsPerCall
	if o == matcher.Attributes {
		size = 1 // earlier releases have no pages of attributes
	}
	for chunk := range slices.Chunk(ids, size) {
		q := query(account, false)
		q.Set("descriptor", "1")
		c := &call{method: "GET", path: "/1/" + o.String(), query: q, requestID: requestID, objects: len(chunk)}
		var found []matcher.Object
		if o == matcher.Attributes {
			c.path += "/" + chunk[0].String()
		} else {
			texts := make([]string, len(chunk))
			for i, id := range chunk {
				texts[i] = id.String()
			}
			q.Set(o.Singular()+"_ids", strings.Join(texts, ",")) // earlier releases accept this form too
			q.Set("page_size", strconv.Itoa(len(chunk)))
		}
		c.read = func(f wire.Format, body []byte) (err error) {
			if o == matcher.Attributes {
				found = make([]matcher.Object, 1)
				found[0], err = r.decoder().ParseObject(f, o, body)
			} else {
				found, _, err = r.decoder().ParseObjects(f, o, body)
			}
			if err != nil {
				return err
			}
			for i := range found {
				if !slices.Contains(chunk, found[i].ID) {
					return errors.New("it has an object that was not asked for")
				}
				if account != nil && found[i].Account != *account {
					return errors.New("it has an object of another account")
				}
			}
			return nil
		}
		switch err := r.makeCall(ctx, c); {
		case o == matcher.Attributes && matcher.CodeOf(err) == matcher.CodeAttrNotFound:
			continue
		case err != nil:
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Keys implements [matcher.Remote]. It matches the keys against an empty candidate
// set: the references of the answer are the objects that the keys stand for. A
// query would be simpler, but remotes of earlier releases cannot read keys with
// commas in a query.
func (r *Remote) Keys(ctx context.Context, keys []matcher.Reference, t matcher.DescriptorType, account *matcher.ID, requestID string) ([][]matcher.ID, error) {
	type key struct {
		matcher.ReferenceType
		id string
	}
	all := make([][]matcher.ID, len(keys))
	indexOf := make(map[key]int, len(keys))
	references := make([]any, len(keys))
	for i, k := range keys {
		indexOf[key{k.Type, k.ID}] = i
		references[i] = map[string]any{"type": string(k.Type), "id": k.ID}
	}
	emptySet := map[string]any{"filters": map[string]any{"origin": matcher.Faces.String(), "face_ids": []any{}}}
	err := r.makeCall(ctx, &call{
		method: "POST", path: "/1/matcher/" + plural(t), query: query(account, false), requestID: requestID, objects: r.decoder().Limits.References,
		place: keysPlacer(keys),
		body:  wire.AppendValue(nil, wire.MessagePack, map[string]any{"references": references, "candidates": []any{emptySet}}),
		read: func(f wire.Format, body []byte) error {
			answer, err := wire.ParseAnswer(f, body)
			if err != nil {
				return err
			}
			for _, item := range answer {
				i, asked := indexOf[key{item.Reference.Type, item.Reference.ID}]
				if !asked {
					return errors.New("it has a reference that was not asked for")
				}
				if id := item.Reference.ObjectID; !id.IsZero() {
					all[i] = append(all[i], id)
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
