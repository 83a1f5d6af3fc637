package oracle

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"nearside/internal/testkit"
)

// population is the approximate number of objects of each origin.
var population = [3]int{300, 300, 80}

// writeRequest returns a random request that changes objects or lists. The numbers
// of objects stay about the same.
func (w *World) writeRequest() *Request {
	r := &Request{Writes: true, Query: w.newQuery()}
	write := testkit.Pick(w.rng, []func(*World, *Request){
		(*World).createFace, (*World).createEvents, (*World).putFace, (*World).putFace, (*World).putAttribute, (*World).patchFace,
		(*World).patchFace, (*World).deleteOne, (*World).deleteOne, (*World).deleteSome, (*World).deleteSome, (*World).deleteSome,
		(*World).deleteSome, (*World).linkFaces, (*World).linkFaces,
		(*World).writeList, (*World).writeList, (*World).writeList, (*World).writeList, (*World).importLines,
	}...)
	for origin, create := range []func(*World, *Request){(*World).createFace, (*World).createEvents, (*World).putAttribute} {
		if len(w.sorted(origin)) < population[origin] && w.Chance(0.5) {
			write = create
		}
	}
	write(w, r)
	if w.Topology.refusable != nil && w.Chance(0.1) && w.Topology.refusable(w, r) { // sent to a server that does not own the objects
		r.Server = 0
		delete(r.Query, "account_id")
		r.Answer = func() Outcome { return refused(12026) }
	}
	return r
}

// chooseServer sends r to a server that stores objects of an origin.
func (w *World) chooseServer(r *Request, origin int) {
	if w.Topology.home != nil {
		r.Server = w.Topology.home(w, origin)
	}
	w.holding = w.holdings[r.Server]
}

// objectFor returns a new object. Mostly its account and lists are allowed for the
// account of the query.
func (w *World) objectFor(origin int, account string) *object {
	o := w.newObject(origin)
	if account != "" && w.Chance(0.9) {
		delete(o.fields, "account_id")
		if w.Chance(0.5) {
			o.fields["account_id"] = account
		}
		if origin == faceOrigin {
			o.fields["lists"] = slices.DeleteFunc(w.listsFor(account), func(id any) bool { return w.list(id.(string)).account != account })
		}
	}
	if lists, ok := o.fields["lists"].([]any); ok {
		if o.fields["lists"] = w.withAnyList(lists); w.Chance(0.03) {
			o.fields["lists"] = append(lists, testkit.Pick(w.rng, w.ids...)) // unknown
		}
	}
	return o
}

// withAnyList sometimes adds a list, which may belong to another account.
func (w *World) withAnyList(lists []any) []any {
	if len(w.lists) == 0 || w.Chance(0.9) {
		return lists
	}
	lists = append(slices.Clone(lists), testkit.Pick(w.rng, w.lists...).id)
	slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return slices.Compact(lists)
}

// reuseID gives o the ID of an existing object.
func (w *World) reuseID(o *object) {
	if len(w.objects[o.origin]) > 0 {
		o.id = testkit.Pick(w.rng, w.objects[o.origin]...).id
		o.fields[singulars[o.origin]+"_id"] = o.id
	}
}

func (w *World) createFace(r *Request) {
	w.chooseServer(r, faceOrigin)
	o := w.objectFor(faceOrigin, r.account())
	if w.Chance(0.15) {
		w.reuseID(o)
	}
	r.Kind, r.Method, r.Path, r.Body = "create face", "POST", "/1/faces", w.spellObject(o)
	r.Answer = func() Outcome { return w.createObjects([]*object{o}, r.account()) }
}

func (w *World) createEvents(r *Request) {
	w.chooseServer(r, eventOrigin)
	var objects []*object
	bodies := []any{}
	for range 1 + w.rng.IntN(3) {
		o := w.objectFor(eventOrigin, r.account())
		if w.Chance(0.15) {
			w.reuseID(o)
		}
		if len(objects) > 0 && w.Chance(0.1) {
			o.id = objects[0].id
			o.fields["event_id"] = o.id
		}
		objects = append(objects, o)
		bodies = append(bodies, w.spellObject(o))
	}
	r.Kind, r.Method, r.Path, r.Body = "create events", "POST", "/1/events", bodies
	if len(bodies) == 1 && w.Chance(0.5) {
		r.Body = bodies[0]
	}
	r.Answer = func() Outcome { return w.createObjects(objects, r.account()) }
}

func (w *World) putObject(r *Request, origin int) {
	w.chooseServer(r, origin)
	o := w.objectFor(origin, r.account())
	if w.Chance(0.7) {
		w.reuseID(o)
	}
	r.Kind, r.Method, r.Path, r.Body = "put "+singulars[origin], "PUT", "/1/"+Origins[origin]+"/"+o.id, w.spellObject(o)
	r.Answer = func() Outcome { return w.putAnswer(o, r.account()) }
}

func (w *World) putFace(r *Request) { w.putObject(r, faceOrigin) }

func (w *World) putAttribute(r *Request) {
	w.putObject(r, attributeOrigin)
	r.Query["ttl"] = "1000000"
}

func (w *World) patchFace(r *Request) {
	w.chooseServer(r, faceOrigin)
	id := w.idOfObject(faceOrigin, func(o *object) bool { return o.visible(r.account()) })
	fields, body := map[string]any{}, map[string]any{}
	for _, f := range optional[faceOrigin] {
		if f.name != "account_id" && w.Chance(0.3) {
			if fields[f.name] = f.make(w); w.Chance(0.4) {
				fields[f.name] = nil
			}
		}
	}
	if w.Chance(0.2) {
		fields["create_time"] = testkit.Pick(w.rng, w.moments...)
	}
	if o := w.find(faceOrigin, id); w.Chance(0.3) && o != nil {
		fields["lists"] = w.withAnyList(w.listsFor(o.account()))
	}
	if w.Chance(0.1) {
		fields["account_id"] = testkit.Pick(w.rng, w.accounts...)
		if o := w.find(faceOrigin, id); w.Chance(0.5) && o != nil && o.account() != "" {
			fields["account_id"] = o.account() // the same account is allowed
		} else if w.Chance(0.1) {
			fields["account_id"] = nil
		}
	}
	maps.Copy(body, fields)
	var v *vector
	if w.Chance(0.3) {
		v = w.newVector(w.randomModel(false))
		body["descriptor"] = w.spelled(v)
	}
	r.Kind, r.Method, r.Path, r.Body = "patch face", "PATCH", "/1/faces/"+id, body
	r.Answer = func() Outcome { return w.patchAnswer(id, fields, v, r.account()) }
}

func (w *World) deleteOne(r *Request) {
	origin := w.rng.IntN(3)
	w.chooseServer(r, origin)
	id := w.idOfObject(origin, func(o *object) bool { return o.visible(r.account()) })
	r.Kind, r.Method, r.Path = "delete "+singulars[origin], "DELETE", "/1/"+Origins[origin]+"/"+id
	r.Answer = func() Outcome { return w.deleteAnswer(origin, id, r.account()) }
}

// deleteSome deletes by filters that select at most 8 objects.
func (w *World) deleteSome(r *Request) {
	origin := w.rng.IntN(3)
	w.chooseServer(r, origin)
	r.spelling = w.rng.Uint64()
	for {
		r.filters = w.randomFilters(origin, r.account())
		_, named := r.filters["account_id"]
		if !named && len(w.selectedBy(origin, r)) <= 8 || len(r.filters) == 0 && w.Chance(0.01) {
			break
		}
	}
	r.Kind, r.Method, r.Path = "delete "+Origins[origin], "DELETE", "/1/"+Origins[origin]
	if w.Chance(0.5) {
		if w.Chance(0.2) {
			r.filters["account_id"] = testkit.Pick(w.rng, w.accounts...)
		}
		w.useFilterBody(r, map[string]any{}, origin)
		r.Body = map[string]any{"filters": r.Body.(map[string]any)["filters"]}
		r.Kind, r.Method, r.Path = "delete found "+Origins[origin], "POST", "/1/"+Origins[origin]+"/delete"
	}
	r.Answer = func() Outcome {
		if w.twoAccounts(r) {
			return refused(31000)
		}
		return w.deleteSelected(origin, r)
	}
}

func (w *World) linkFaces(r *Request) {
	w.chooseServer(r, faceOrigin)
	list := testkit.Pick(w.rng, w.ids...)
	if len(w.lists) > 0 && w.Chance(0.97) {
		list = testkit.Pick(w.rng, w.lists...).id
	}
	if l := w.list(list); l != nil && w.Chance(0.8) {
		delete(r.Query, "account_id")
		if l.account != "" && w.Chance(0.5) {
			r.Query["account_id"] = l.account
		}
	}
	ids := []any{}
	for range 1 + w.rng.IntN(8) {
		ids = append(ids, w.idOfObject(faceOrigin, func(o *object) bool {
			l := w.list(list)
			return o.visible(r.account()) && (l == nil || l.allows(o.account()))
		}))
	}
	attach := w.Chance(0.6)
	action := "detach"
	if attach {
		action = "attach"
	}
	r.Kind, r.Method, r.Path = action, "PATCH", "/1/linker"
	r.Body = map[string]any{"action": action, "list_id": list, "face_ids": ids}
	r.Answer = func() Outcome { return w.link(attach, list, ids, r.account()) }
}

// writeList creates, changes or deletes a list. Some lists always exist.
func (w *World) writeList(r *Request) {
	w.chooseServer(r, faceOrigin)
	if len(w.lists) < 2*len(w.listIDs)/3 || w.Chance(0.2) {
		w.createList(r)
		return
	}
	l := testkit.Pick(w.rng, w.lists...)
	r.Path = "/1/lists/" + l.id
	if w.Chance(0.4) {
		text := testkit.Pick(w.rng, []string{"", "x", "é"}...)
		r.Kind, r.Method, r.Body = "patch list", "PATCH", map[string]any{"user_data": text}
		r.Answer = func() Outcome {
			if r.account() != "" && l.account != r.account() {
				return refused(22002)
			}
			l.userData, l.imported = text, false
			return Outcome{Status: 200, Body: map[string]any{"list_id": l.id}}
		}
		return
	}
	withFaces := w.Chance(0.5) && w.faceCount(l.id, r.account()) < 150
	r.Kind, r.Method = "delete list", "DELETE"
	if withFaces {
		r.Kind, r.Query["with_faces"] = "delete list with faces", "1"
	}
	r.Answer = func() Outcome { return w.deleteList(l.id, withFaces, r.account()) }
}

func (w *World) createList(r *Request) {
	l := &storedList{id: testkit.Pick(w.rng, w.listIDs...), userData: testkit.Pick(w.rng, []string{"", "staff", "ж"}...)}
	if w.Chance(0.6) {
		l.account = testkit.Pick(w.rng, w.accounts...)
	}
	body := map[string]any{"list_id": l.id}
	if l.account != "" {
		body["account_id"] = l.account
	}
	if l.userData != "" {
		body["user_data"] = l.userData
	}
	r.Kind, r.Method, r.Path, r.Body = "create list", "POST", "/1/lists", body
	r.Answer = func() Outcome {
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
		return Outcome{Status: 201, Body: map[string]any{"list_id": l.id}}
	}
}

// importLines imports faces or events. Some lines are malformed.
func (w *World) importLines(r *Request) {
	origin := w.rng.IntN(2)
	w.chooseServer(r, origin)
	joined := ""
	r.Query["origin"] = Origins[origin]
	if origin == faceOrigin && w.Chance(0.5) {
		joined = testkit.Pick(w.rng, w.listIDs...)
		r.Query["list_id"] = joined
	}
	var imports []func() bool // for each line: imports it and reports whether it is accepted
	for range w.rng.IntN(8) {
		if w.Chance(0.1) {
			r.Lines = append(r.Lines, testkit.Pick(w.rng, []string{"{", "{}", "7", `{"age":3}`, `{"descriptor":{"version":4,"data":"AQID"}}`}...))
			imports = append(imports, func() bool { return false })
			continue
		}
		o := w.objectFor(origin, r.account())
		if w.Chance(0.3) {
			w.reuseID(o)
		}
		body := w.spellObject(o)
		hasLists := w.Chance(0.6)
		if !hasLists {
			delete(body, "lists")
		}
		stated := map[string]any{}
		for _, id := range listsOf(o) {
			if w.Chance(0.3) {
				stated[id.(string)] = testkit.Pick(w.rng, []any{nil, nil, testkit.Pick(w.rng, w.accounts...)}...)
			}
		}
		if origin == faceOrigin && (len(stated) > 0 || w.Chance(0.05)) {
			body["list_accounts"] = stated
		}
		r.Lines = append(r.Lines, string(testkit.Must(json.Marshal(body))))
		imports = append(imports, func() bool { return w.importObject(o, hasLists, stated, joined, r.account()) })
	}
	r.Kind, r.Method, r.Path = "import "+Origins[origin], "POST", "/1/import"
	r.Answer = func() Outcome {
		accepted, faults := 0.0, []any{}
		for i, accept := range imports {
			if accept() {
				accepted++
			} else {
				faults = append(faults, map[string]any{"line": float64(i + 1)})
			}
		}
		return Outcome{Status: 200, Body: map[string]any{"accepted": accepted, "rejected": float64(len(faults)), "errors": faults}}
	}
}
