package server_test

import (
	"maps"
	"slices"
	"strings"
)

// link answers PATCH /1/linker; all or none.
func (w *world) link(attach bool, list string, faces []any, account string) outcome {
	l := w.list(list)
	if l == nil || account != "" && l.account != account {
		return refused(22002)
	}
	faces = slices.Clone(faces)
	slices.SortFunc(faces, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	codes := []int{}
	for _, id := range faces {
		if t := w.find(inFaces, id.(string)); t == nil || !t.visible(account) {
			codes = append(codes, 22004)
		} else if attach && !l.joins(t.account()) {
			codes = append(codes, 12026)
		}
	}
	if len(codes) > 0 {
		return refused(codes...)
	}
	for _, id := range faces {
		t := w.find(inFaces, id.(string))
		lists := slices.DeleteFunc(slices.Clone(t.fields["lists"].([]any)), func(id any) bool { return id == list })
		if attach {
			lists = append(lists, list)
			slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		t.fields = maps.Clone(t.fields)
		t.fields["lists"] = lists
	}
	return outcome{status: 204}
}

// deleteList answers DELETE of a list, with its visible faces or without.
func (w *world) deleteList(id string, withFaces bool, account string) outcome {
	if l := w.list(id); l == nil || account != "" && l.account != account {
		return refused(22002)
	}
	in := func(t *thing) bool { return slices.Contains(t.fields["lists"].([]any), any(id)) }
	if withFaces {
		w.remove(inFaces, func(t *thing) bool { return in(t) && t.visible(account) })
	}
	for _, t := range w.things[inFaces] {
		if in(t) {
			t.fields = maps.Clone(t.fields)
			t.fields["lists"] = slices.DeleteFunc(slices.Clone(t.fields["lists"].([]any)), func(l any) bool { return l == id })
		}
	}
	w.lists = slices.DeleteFunc(w.lists, func(l *listed) bool { return l.id == id })
	return outcome{status: 204}
}

// faceCount is the number of visible faces of a list.
func (w *world) faceCount(id, account string) float64 {
	n := 0.0
	for _, t := range w.things[inFaces] {
		if t.visible(account) && slices.Contains(t.fields["lists"].([]any), any(id)) {
			n++
		}
	}
	return n
}

// shownList is a list as a client sees it, but for its time.
func (w *world) shownList(l *listed, account string) map[string]any {
	all := map[string]any{"list_id": l.id, "face_count": w.faceCount(l.id, account)}
	if l.account != "" {
		all["account_id"] = l.account
	}
	if l.userData != "" {
		all["user_data"] = l.userData
	}
	return all
}
