package lua

import (
	"encoding/json"

	"nearside/lua/goval"
	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// The names of the events about changes of the data.
const (
	sendingEvent   = "sending_event" // an event was stored
	faceEvent      = "face_event"
	listEvent      = "list_event"
	attributeEvent = "attribute_event"
)

// isOrdered reports whether events of that name are delivered in the order of commits.
func isOrdered(name string) bool {
	return name == faceEvent || name == listEvent || name == attributeEvent
}

// ChangeEventName returns the name of the event about changes of an origin.
func ChangeEventName(o matcher.Origin) string {
	return [matcher.Origins]string{matcher.Faces: faceEvent, matcher.Events: sendingEvent, matcher.Attributes: attributeEvent}[o]
}

// ChangeEvent returns the event that plugins receive about a change: its name, and the
// function for Host.EmitFrom that returns its value. The name is empty if there is no such
// event, as for a deleted event.
func ChangeEvent(c *store.Change) (name string, value func() any) {
	switch c.Kind {
	case store.PutObject:
		obj := c.Object
		if obj.Origin == matcher.Events {
			return sendingEvent, func() any { return objectJSON(obj) }
		}
		return ChangeEventName(obj.Origin), func() any {
			return changeValue("put", obj.ID, goval.Decoded(objectJSON(obj)), obj.Lists, obj.Account)
		}
	case store.DeleteObject:
		obj, op := c.Object, "delete"
		if obj == nil || obj.Origin == matcher.Events {
			return "", nil
		}
		if c.Cause == matcher.CauseExpiry {
			op = "expire"
		}
		return ChangeEventName(obj.Origin), func() any { return changeValue(op, obj.ID, nil, obj.Lists, obj.Account) }
	case store.PutList, store.DeleteList:
		list, op := c.List, "put"
		if list == nil {
			return "", nil
		}
		if c.Kind == store.DeleteList {
			op = "delete"
		}
		return listEvent, func() any {
			var object any
			if op == "put" {
				fields := goval.Decoded(json.RawMessage(wire.AppendList(nil, wire.JSON, wire.ListAnswer{List: *list}))).(map[string]any)
				delete(fields, "face_count") // it was not counted
				object = fields
			}
			return changeValue(op, list.ID, object, nil, list.Account)
		}
	}
	return "", nil
}

// objectJSON returns an object in the form of the API, without descriptors.
func objectJSON(obj *matcher.Object) json.RawMessage {
	return wire.AppendObject(nil, wire.JSON, obj, nil, wire.NoDescriptors)
}

// changeValue returns the value of an event about a change. object is nil after a delete.
func changeValue(op string, id matcher.ID, object any, lists []matcher.ID, account matcher.ID) map[string]any {
	names := make([]string, len(lists))
	for i, id := range lists {
		names[i] = id.String()
	}
	v := map[string]any{"op": op, "id": id.String(), "lists": names}
	if object != nil {
		v["object"] = object
	}
	if !account.IsZero() {
		v["account_id"] = account.String()
	}
	return v
}
