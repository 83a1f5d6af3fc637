package ns

import (
	"context"
	"errors"
	"fmt"

	"nearside/lua/goval"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// queryFunctions returns the functions of ns.store for many objects.
func queryFunctions() []vm.Function {
	functions := []vm.Function{
		scanFunction(matcher.Faces), scanFunction(matcher.Events), scanFunction(matcher.Attributes),
		{
			Name: "lists", Params: []string{"query?: {fields: string[]?, limit: integer?, account_id: string?}"}, Returns: []string{"fun(): table?"},
			Doc: "Returns an iterator over the lists, in the order of ids; see faces. The fields are list_id, account_id, user_data, create_time and face_count.",
			Run: storeFunction(listScan),
		},
		{
			Name: "count", Params: []string{"query?: {filters: table?, account_id: string?}"}, Returns: []string{"integer?", "string? err"}, Waits: true,
			Doc: "Returns the number of objects that pass filters. filters.origin is faces (default), events or attributes.",
			Run: storeFunction(countObjects),
		},
		{
			Name: "delete_faces", Params: []string{"query: {filters: table, account_id: string?}"}, Returns: []string{"integer? deleted", "string? err"}, Waits: true,
			Doc: "Deletes the faces that pass filters, and returns their number. There must be a filter besides account_id. More than 10,000 faces are deleted in several steps.",
			Run: storeFunction(deleteFaces),
		},
		{
			Name: "update_face", Params: []string{"id: string", "fields: table"}, Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Changes fields of a face, as PATCH of the HTTP API does. json.null clears a field; other fields stay.",
			Run: storeFunction(updateFace),
		},
	}
	return functions
}

// readQuery reads the options filters and account_id of a function.
func readQuery(c *vm.Call) (filters any, account *matcher.ID, err error) {
	o := &goval.Reader{Map: c.Map(1)}
	o.RefuseUnknown("filters", "account_id")
	account, err = readAccount(o)
	return filtersOf(o.Map["filters"]), account, errors.Join(append(o.Faults, err)...)
}

// countObjects implements ns.store.count.
func countObjects(c *vm.Call, s *objectStore) error {
	given, account, err := readQuery(c)
	if err != nil {
		return err
	}
	origin, body := matcher.Faces, map[string]any{}
	if given != nil {
		body["filters"] = given
	}
	if fields, ok := given.(map[string]any); ok && fields["origin"] != nil {
		name, _ := fields["origin"].(string)
		if origin, err = matcher.ParseOrigin(name); err != nil {
			return c.Fail(fmt.Errorf("filters.origin: must be one of faces, events, attributes, got %v", fields["origin"]))
		}
	}
	text, err := bodyOf(body)
	if err != nil {
		return c.Fail(err)
	}
	n := 0
	err = c.Wait(func(ctx context.Context) error {
		req, err := s.Decoder().Find(origin, wire.JSON, text)
		if err == nil {
			_, n, err = s.Objects.Page(ctx, origin, &req.Filter, account, matcher.Page{})
		}
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(n)
}

// deleteFaces implements ns.store.delete_faces.
func deleteFaces(c *vm.Call, s *objectStore) error {
	given, account, err := readQuery(c)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if given != nil {
		body["filters"] = given
	}
	text, err := bodyOf(body)
	if err != nil {
		return c.Fail(err)
	}
	deleted := 0
	err = s.wait(c, func(ctx context.Context) error {
		f, err := s.Decoder().Delete(matcher.Faces, wire.JSON, text)
		if err != nil {
			return err
		}
		if err := s.checkDelete(&f); err != nil {
			return err
		}
		deleted, err = s.Store.DeleteFound(ctx, matcher.Faces, s.Objects.Finder(ctx, matcher.Faces, &f, account))
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(deleted)
}

// checkDelete refuses a delete of all faces, and of faces that a remote owns.
func (s *objectStore) checkDelete(f *matcher.Filter) error {
	withoutAccount := *f
	withoutAccount.Account = nil
	if withoutAccount.IsZero() {
		return matcher.Errorf(matcher.CodeBadInput, "filters: must have a filter besides account_id")
	}
	switch names, err := s.Store.Owners().Of(matcher.Faces, f); {
	case err != nil:
		return err
	case len(names) > 0:
		return matcher.Errorf(matcher.CodeForbidden, "filters: the selected objects are owned by %s; delete them there", matcher.OwnerText(names))
	}
	return nil
}

// updateFace implements ns.store.update_face.
func updateFace(c *vm.Call, s *objectStore) error {
	fields := c.Value(2)
	if m, ok := fields.(map[string]any); ok && m["lists"] != nil {
		m["lists"] = listOf(m["lists"])
	}
	id, err := objectID(matcher.Faces, c.Text(1))
	if err != nil {
		return c.Fail(err)
	}
	body, err := bodyOf(fields)
	if err != nil {
		return c.Fail(err)
	}
	err = s.wait(c, func(ctx context.Context) error {
		decoder := s.Decoder()
		patch, err := decoder.FacePatch(wire.JSON, body)
		if err != nil {
			return err
		}
		return s.Store.PatchObject(ctx, nil, matcher.Faces, id, func(obj *matcher.Object) error {
			if err := patch(obj); err != nil {
				return err
			}
			if limit := decoder.Limits.LineBytes; limit > 0 {
				return wire.CheckLine(obj, limit)
			}
			return nil
		})
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}
