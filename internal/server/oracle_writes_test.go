package server_test

import (
	"encoding/json"
	"maps"
	"slices"
)

// population is about how many things of each origin there are.
var population = [3]int{300, 300, 80}

// writeRequest is a random request that changes objects or lists. The numbers
// of objects stay about the same.
func (w *world) writeRequest() *request {
	r := &request{writes: true, query: w.maybeAccount()}
	write := pick(w, []func(*world, *request){
		(*world).createFace, (*world).createEvents, (*world).putFace, (*world).putFace, (*world).putAttribute, (*world).patchFace,
		(*world).patchFace, (*world).deleteOne, (*world).deleteOne, (*world).deleteSome, (*world).linkFaces, (*world).linkFaces,
		(*world).writeList, (*world).writeList, (*world).importLines,
	})
	for origin, create := range []func(*world, *request){(*world).createFace, (*world).createEvents, (*world).putAttribute} {
		if len(w.sorted(origin)) < population[origin] && w.chance(0.5) {
			write = create
		}
	}
	write(w, r)
	if w.refusable != nil && w.chance(0.1) && w.refusable(w, r) { // by another server than the owner
		r.server = 0
		delete(r.query, "account_id")
		r.answer = func() outcome { return refused(12026) }
	}
	return r
}

// settle lets r go to the server that has things of an origin, or some.
func (w *world) settle(r *request, origin int) {
	if w.home != nil {
		r.server = w.home(w, origin)
	}
	w.holding = w.holdings[r.server]
}

// thingFor is a new thing that mostly fits the account of the query.
func (w *world) thingFor(origin int, account string) *thing {
	t := w.thing(origin)
	if account != "" && w.chance(0.9) {
		delete(t.fields, "account_id")
		if w.chance(0.5) {
			t.fields["account_id"] = account
		}
		if origin == inFaces {
			t.fields["lists"] = slices.DeleteFunc(w.listsFor(account), func(id any) bool { return w.list(id.(string)).account != account })
		}
	}
	if lists, ok := t.fields["lists"].([]any); ok && w.chance(0.03) {
		t.fields["lists"] = append(lists, pick(w, w.ids)) // unknown
	}
	return t
}

// retake gives t the id of a thing that is there.
func (w *world) retake(t *thing) {
	if len(w.things[t.origin]) > 0 {
		t.id = pick(w, w.things[t.origin]).id
		t.fields[singulars[t.origin]+"_id"] = t.id
	}
}

func (w *world) createFace(r *request) {
	w.settle(r, inFaces)
	t := w.thingFor(inFaces, r.account())
	if w.chance(0.15) {
		w.retake(t)
	}
	r.kind, r.method, r.path, r.body = "create face", "POST", "/1/faces", w.written(t)
	r.answer = func() outcome { return w.create([]*thing{t}, r.account()) }
}

func (w *world) createEvents(r *request) {
	w.settle(r, inEvents)
	var things []*thing
	bodies := []any{}
	for range 1 + w.rng.IntN(3) {
		t := w.thingFor(inEvents, r.account())
		if w.chance(0.1) {
			w.retake(t)
		}
		if len(things) > 0 && w.chance(0.06) {
			t.id = things[0].id
			t.fields["event_id"] = t.id
		}
		things = append(things, t)
		bodies = append(bodies, w.written(t))
	}
	r.kind, r.method, r.path, r.body = "create events", "POST", "/1/events", bodies
	if len(bodies) == 1 && w.chance(0.5) {
		r.body = bodies[0]
	}
	r.answer = func() outcome { return w.create(things, r.account()) }
}

func (w *world) putThing(r *request, origin int) {
	w.settle(r, origin)
	t := w.thingFor(origin, r.account())
	if w.chance(0.7) {
		w.retake(t)
	}
	r.kind, r.method, r.path, r.body = "put "+singulars[origin], "PUT", "/1/"+origins[origin]+"/"+t.id, w.written(t)
	r.answer = func() outcome { return w.put(t, r.account()) }
}

func (w *world) putFace(r *request) { w.putThing(r, inFaces) }

func (w *world) putAttribute(r *request) {
	w.putThing(r, inAttributes)
	r.query["ttl"] = "1000000"
}

func (w *world) patchFace(r *request) {
	w.settle(r, inFaces)
	id := w.referable(inFaces, func(t *thing) bool { return t.visible(r.account()) })
	fields, body := map[string]any{}, map[string]any{}
	for _, f := range shapes[inFaces] {
		if f.name != "account_id" && w.chance(0.3) {
			if fields[f.name] = f.make(w); w.chance(0.4) {
				fields[f.name] = nil
			}
		}
	}
	if w.chance(0.2) {
		fields["create_time"] = pick(w, w.moments)
	}
	if t := w.find(inFaces, id); w.chance(0.3) && t != nil {
		fields["lists"] = w.listsFor(t.account())
	}
	maps.Copy(body, fields)
	var v *vector
	if w.chance(0.3) {
		v = w.vector(w.model(false))
		body["descriptor"] = v.json()
	}
	r.kind, r.method, r.path, r.body = "patch face", "PATCH", "/1/faces/"+id, body
	r.answer = func() outcome { return w.patch(id, fields, v, r.account()) }
}

func (w *world) deleteOne(r *request) {
	origin := w.rng.IntN(3)
	w.settle(r, origin)
	id := w.referable(origin, func(t *thing) bool { return t.visible(r.account()) })
	r.kind, r.method, r.path = "delete "+singulars[origin], "DELETE", "/1/"+origins[origin]+"/"+id
	r.answer = func() outcome { return w.delete(origin, id, r.account()) }
}

// deleteSome deletes by filters, not too many.
func (w *world) deleteSome(r *request) {
	origin := w.rng.IntN(2)
	w.settle(r, origin)
	for {
		r.filters = w.filters(origin, r.account())
		_, named := r.filters["account_id"]
		if !named && queryable(r.filters) && len(w.chosenBy(origin, r)) <= 8 || len(r.filters) == 0 && w.chance(0.1) {
			break
		}
	}
	r.kind, r.method, r.path = "delete "+origins[origin], "DELETE", "/1/"+origins[origin]
	r.answer = func() outcome { return w.deleteBy(origin, r) }
}

func (w *world) linkFaces(r *request) {
	w.settle(r, inFaces)
	list := pick(w, w.ids)
	if len(w.lists) > 0 && w.chance(0.97) {
		list = pick(w, w.lists).id
	}
	if l := w.list(list); l != nil && w.chance(0.8) {
		delete(r.query, "account_id")
		if l.account != "" && w.chance(0.5) {
			r.query["account_id"] = l.account
		}
	}
	faces := []any{}
	for range 1 + w.rng.IntN(8) {
		faces = append(faces, w.referable(inFaces, func(t *thing) bool {
			l := w.list(list)
			return t.visible(r.account()) && (l == nil || l.joins(t.account()))
		}))
	}
	attach := w.chance(0.6)
	action := "detach"
	if attach {
		action = "attach"
	}
	r.kind, r.method, r.path = action, "PATCH", "/1/linker"
	r.body = map[string]any{"action": action, "list_id": list, "face_ids": faces}
	r.answer = func() outcome { return w.link(attach, list, faces, r.account()) }
}

// writeList makes, changes or deletes a list; there are always some.
func (w *world) writeList(r *request) {
	w.settle(r, inFaces)
	if len(w.lists) < 2*len(w.listIDs)/3 || w.chance(0.2) {
		w.createList(r)
		return
	}
	l := pick(w, w.lists)
	r.path = "/1/lists/" + l.id
	if w.chance(0.3) {
		text := pick(w, []string{"", "x", "é"})
		r.kind, r.method, r.body = "patch list", "PATCH", map[string]any{"user_data": text}
		r.answer = func() outcome {
			if r.account() != "" && l.account != r.account() {
				return refused(22002)
			}
			l.userData = text
			return outcome{status: 200, body: map[string]any{"list_id": l.id}}
		}
		return
	}
	withFaces := w.chance(0.5) && w.faceCount(l.id, r.account()) < 150
	r.kind, r.method = "delete list", "DELETE"
	if withFaces {
		r.kind, r.query["with_faces"] = "delete list with faces", "1"
	}
	r.answer = func() outcome { return w.deleteList(l.id, withFaces, r.account()) }
}

func (w *world) createList(r *request) {
	l := &listed{id: pick(w, w.listIDs), userData: pick(w, []string{"", "staff", "ж"})}
	if w.chance(0.6) {
		l.account = pick(w, w.accounts)
	}
	body := map[string]any{"list_id": l.id}
	if l.account != "" {
		body["account_id"] = l.account
	}
	if l.userData != "" {
		body["user_data"] = l.userData
	}
	r.kind, r.method, r.path, r.body = "create list", "POST", "/1/lists", body
	r.answer = func() outcome {
		if l.account == "" {
			l.account = r.account()
		}
		switch {
		case r.account() != "" && l.account != r.account():
			return refused(31000)
		case w.list(l.id) != nil:
			return refused(22001)
		}
		w.lists = append(w.lists, l)
		return outcome{status: 201, body: map[string]any{"list_id": l.id}}
	}
}

// importLines imports faces or events, with lines that are none among them.
func (w *world) importLines(r *request) {
	origin := w.rng.IntN(2)
	w.settle(r, origin)
	add := ""
	r.query["origin"] = origins[origin]
	if origin == inFaces && w.chance(0.5) {
		add = pick(w, w.listIDs)
		r.query["list_id"] = add
	}
	var takes []func() bool
	for range w.rng.IntN(8) {
		if w.chance(0.1) {
			r.lines = append(r.lines, pick(w, []string{"{", "{}", "7", `{"age":3}`, `{"descriptor":{"version":4,"data":"AQID"}}`}))
			takes = append(takes, func() bool { return false })
			continue
		}
		t := w.thingFor(origin, r.account())
		if w.chance(0.3) {
			w.retake(t)
		}
		body := w.written(t)
		hasLists := w.chance(0.6)
		if !hasLists {
			delete(body, "lists")
		}
		r.lines = append(r.lines, string(must(json.Marshal(body))))
		takes = append(takes, func() bool { return w.importThing(t, hasLists, add, r.account()) })
	}
	r.kind, r.method, r.path = "import "+origins[origin], "POST", "/1/import"
	r.answer = func() outcome {
		accepted, faults := 0.0, []any{}
		for i, take := range takes {
			if take() {
				accepted++
			} else {
				faults = append(faults, map[string]any{"line": float64(i + 1)})
			}
		}
		return outcome{status: 200, body: map[string]any{"accepted": accepted, "rejected": float64(len(faults)), "errors": faults}}
	}
}
