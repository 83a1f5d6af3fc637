package oracle

import (
	"maps"
	"slices"
	"strings"
)

// link answers PATCH /1/linker. If one face cannot be linked, none are.
func (w *World) link(attach bool, list string, ids []any, account string) Outcome {
	l := w.list(list)
	if l == nil || account != "" && l.account != account {
		return refused(22002)
	}
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	codes := []int{}
	for _, id := range ids {
		if t := w.find(faceOrigin, id.(string)); t == nil || !t.visible(account) {
			codes = append(codes, 22004)
		} else if attach && !l.allows(t.account()) {
			codes = append(codes, 12026)
		}
	}
	if len(codes) > 0 {
		return refused(codes...)
	}
	for _, id := range ids {
		t := w.find(faceOrigin, id.(string))
		lists := slices.DeleteFunc(slices.Clone(t.fields["lists"].([]any)), func(id any) bool { return id == list })
		if attach {
			lists = append(lists, list)
			slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		t.fields = maps.Clone(t.fields)
		t.fields["lists"] = lists
	}
	return Outcome{Status: 204}
}

// deleteList answers DELETE of a list. With withFaces, the faces of the list that the
// account can see are deleted too.
func (w *World) deleteList(id string, withFaces bool, account string) Outcome {
	if l := w.list(id); l == nil || account != "" && l.account != account {
		return refused(22002)
	}
	in := func(t *thing) bool { return slices.Contains(t.fields["lists"].([]any), any(id)) }
	if withFaces {
		w.removeThings(faceOrigin, func(t *thing) bool { return in(t) && t.visible(account) })
	}
	for _, t := range w.things[faceOrigin] {
		if in(t) {
			t.fields = maps.Clone(t.fields)
			t.fields["lists"] = slices.DeleteFunc(slices.Clone(t.fields["lists"].([]any)), func(l any) bool { return l == id })
		}
	}
	w.lists = slices.DeleteFunc(w.lists, func(l *listed) bool { return l.id == id })
	return Outcome{Status: 204}
}

// faceCount returns the number of faces of a list that an account can see.
func (w *World) faceCount(id, account string) float64 {
	n := 0.0
	for _, t := range w.things[faceOrigin] {
		if t.visible(account) && slices.Contains(t.fields["lists"].([]any), any(id)) {
			n++
		}
	}
	return n
}

// shownList returns a list as a client sees it, without its time.
func (w *World) shownList(l *listed, account string) map[string]any {
	all := map[string]any{"list_id": l.id, "face_count": w.faceCount(l.id, account)}
	if l.account != "" {
		all["account_id"] = l.account
	}
	if l.userData != "" {
		all["user_data"] = l.userData
	}
	return all
}
