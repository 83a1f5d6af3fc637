package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"nearside/matcher"
)

// storedFace has the fields of a face that the tests write and compare.
type storedFace struct {
	data     string // 16 bytes, different in every write
	userData string
	lists    string // sorted IDs
}

// content has the objects that one writer has stored. Writers share no objects.
type content struct {
	faces map[string]storedFace
	lists map[string]bool
}

func newContent() content { return content{map[string]storedFace{}, map[string]bool{}} }

func (c content) clone() content { return content{maps.Clone(c.faces), maps.Clone(c.lists)} }

func (c content) equal(other content) bool {
	return maps.Equal(c.faces, other.faces) && maps.Equal(c.lists, other.lists)
}

// unlist removes faces from a list.
func (c content) unlist(list string, faces ...string) {
	for _, id := range faces {
		f := c.faces[id]
		f.lists = joinIDs(slices.DeleteFunc(splitIDs(f.lists), func(l string) bool { return l == list }))
		c.faces[id] = f
	}
}

func splitIDs(s string) []string { return strings.Fields(s) }

func joinIDs(ids []string) string {
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " ")
}

// facesIn returns the IDs of the faces of a list.
func (c content) facesIn(list string) []string {
	var ids []string
	for id, f := range c.faces {
		if slices.Contains(splitIDs(f.lists), list) {
			ids = append(ids, id)
		}
	}
	return ids
}

// operation is a request with its effect. The effect has steps, because an import is
// stored in batches. Each step is done as a whole or not at all.
type operation struct {
	method, path string
	body         any
	steps        []func(content)
}

// writer writes to a server and keeps the content that the server must have.
type writer struct {
	*rand.Rand
	number  int
	count   int
	content content
	ids     []string   // sorted IDs of its faces before the current operation
	pending *operation // sent but not answered
	acked   int        // answered operations
	done    int        // operations that were not answered, but done at least partly
}

func (w *writer) newData() []byte {
	w.count++
	data := make([]byte, 16)
	copy(data, fmt.Sprintf("%02d%08d", w.number, w.count))
	return data
}

func (w *writer) newID() string {
	w.count++
	return matcher.NameID(fmt.Sprint(w.number, " ", w.count)).String()
}

func (w *writer) someID() string {
	if len(w.ids) == 0 {
		return ""
	}
	return w.ids[w.IntN(len(w.ids))]
}

func (w *writer) someList() string {
	if ids := slices.Sorted(maps.Keys(w.content.lists)); len(ids) > 0 {
		return ids[w.IntN(len(ids))]
	}
	return ""
}

// face returns the body of a face and the stored form.
func (w *writer) face(id string) (map[string]any, storedFace) {
	data, text := w.newData(), fmt.Sprint("u", w.IntN(9))
	body := map[string]any{"face_id": id, "user_data": text, "descriptor": map[string]any{"version": 1001, "data": data}}
	f := storedFace{data: string(data), userData: text}
	if list := w.someList(); list != "" && w.IntN(2) == 0 {
		body["lists"], f.lists = []string{list}, list
	}
	return body, f
}

// next chooses an operation that the content allows.
func (w *writer) next() operation {
	w.ids = slices.Sorted(maps.Keys(w.content.faces))
	id, list := w.someID(), w.someList()
	kind := w.IntN(14)
	switch {
	case list == "" || kind == 0 && len(w.content.lists) < 4:
		list := w.newID()
		return operation{http.MethodPost, "/1/lists", map[string]any{"list_id": list}, []func(content){func(c content) { c.lists[list] = true }}}
	case id == "" || kind < 4:
		id := w.newID()
		body, f := w.face(id)
		return operation{http.MethodPost, "/1/faces", body, []func(content){func(c content) { c.faces[id] = f }}}
	case kind == 4:
		return w.importLines(w.IntN(200), list)
	case kind == 5 && len(w.content.faces) < 500:
		return w.importLines(2500, list)
	case kind == 6:
		body, f := w.face(id)
		return operation{http.MethodPut, "/1/faces/" + id, body, []func(content){func(c content) { c.faces[id] = f }}}
	case kind == 7:
		data := w.newData()
		body := map[string]any{"user_data": nil, "descriptor": map[string]any{"version": 1001, "data": data}}
		return operation{http.MethodPatch, "/1/faces/" + id, body, []func(content){func(c content) {
			f := c.faces[id]
			f.data, f.userData = string(data), ""
			c.faces[id] = f
		}}}
	case kind == 8:
		return w.link(list, w.IntN(3) > 0)
	case kind == 9 && w.IntN(3) == 0:
		return w.deleteList(list, w.IntN(2) == 0)
	case kind == 10 && w.IntN(2) == 0:
		return operation{http.MethodDelete, "/1/faces?list_id=" + list, nil, []func(content){func(c content) {
			for _, id := range c.facesIn(list) {
				delete(c.faces, id)
			}
		}}}
	default:
		return operation{http.MethodDelete, "/1/faces/" + id, nil, []func(content){func(c content) { delete(c.faces, id) }}}
	}
}

// importLines imports new faces and new versions of old ones.
func (w *writer) importLines(n int, list string) operation {
	op := operation{method: http.MethodPost, path: "/1/import?list_id=" + list}
	var text strings.Builder
	type line struct {
		id       string
		face     storedFace
		hasLists bool
	}
	var lines []line
	for range n {
		id := w.newID()
		if old := w.someID(); old != "" && n < 1000 && w.IntN(2) == 0 {
			id = old
		}
		body, f := w.face(id)
		encoded, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		text.Write(append(encoded, '\n'))
		_, hasLists := body["lists"]
		lines = append(lines, line{id, f, hasLists})
	}
	op.body = text.String()
	for batch := range slices.Chunk(lines, 1000) {
		op.steps = append(op.steps, func(c content) {
			for _, l := range batch {
				f := l.face
				if !l.hasLists {
					f.lists = c.faces[l.id].lists
				}
				f.lists = joinIDs(append(splitIDs(f.lists), list))
				c.faces[l.id] = f
			}
		})
	}
	return op
}

func (w *writer) link(list string, attach bool) operation {
	var faces []string
	for range 1 + w.IntN(20) {
		faces = append(faces, w.someID())
	}
	action := "detach"
	if attach {
		action = "attach"
	}
	body := map[string]any{"action": action, "list_id": list, "face_ids": faces}
	return operation{http.MethodPatch, "/1/linker", body, []func(content){func(c content) {
		c.unlist(list, faces...)
		for _, id := range faces {
			if f := c.faces[id]; attach {
				f.lists = joinIDs(append(splitIDs(f.lists), list))
				c.faces[id] = f
			}
		}
	}}}
}

func (w *writer) deleteList(list string, withFaces bool) operation {
	path := "/1/lists/" + list
	if withFaces {
		path += "?with_faces=1"
	}
	return operation{http.MethodDelete, path, nil, []func(content){func(c content) {
		for _, id := range c.facesIn(list) {
			if withFaces {
				delete(c.faces, id)
			} else {
				c.unlist(list, id)
			}
		}
		delete(c.lists, list)
	}}}
}

// write sends operations until the server does not answer any more. It calls sending
// before each of them.
func (w *writer) write(p *process, sending func()) error {
	for {
		op := w.next()
		w.pending = &op
		sending()
		status, answer, err := p.call(op.method, op.path, op.body)
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
			return nil // it is unknown whether the operation was done
		case status/100 != 2 || strings.Contains(string(answer), `"rejected":`) && !strings.Contains(string(answer), `"rejected":0`):
			return fmt.Errorf("%s %s: %d %s", op.method, op.path, status, answer)
		}
		for _, step := range op.steps {
			step(w.content)
		}
		w.pending = nil
		w.acked++
	}
}

// settle checks that found is an allowed content: the acknowledged one, or the one after
// some steps of the pending operation. It continues with that content.
func (w *writer) settle(found content) error {
	allowed := w.content
	if allowed.equal(found) {
		w.pending = nil
		return nil
	}
	if w.pending != nil {
		allowed = allowed.clone()
		for _, step := range w.pending.steps {
			if step(allowed); allowed.equal(found) {
				w.content, w.pending = allowed, nil
				w.done++
				return nil
			}
		}
	}
	return errors.New(difference(w.content, found, w.pending))
}

// difference describes the differences between want and found.
func difference(want, found content, pending *operation) string {
	var b strings.Builder
	if pending != nil {
		fmt.Fprintf(&b, "pending: %s %s\n", pending.method, pending.path)
	}
	report := func(format string, args ...any) {
		if b.Len() < 2000 {
			fmt.Fprintf(&b, format, args...)
		}
	}
	for id, f := range want.faces {
		if got, ok := found.faces[id]; !ok || got != f {
			report("face %s: found %v %q, acknowledged %q\n", id, ok, got, f)
		}
	}
	for id, f := range found.faces {
		if _, ok := want.faces[id]; !ok {
			report("face %s: found %q, which was never acknowledged, or was deleted\n", id, f)
		}
	}
	report("lists: found %v, acknowledged %v\n", found.lists, want.lists)
	return b.String()
}
