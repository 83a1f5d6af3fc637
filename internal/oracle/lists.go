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
		if o := w.find(faceOrigin, id.(string)); o == nil || !o.visible(account) {
			codes = append(codes, 22004)
		} else if attach && !l.allows(o.account()) {
			codes = append(codes, 12026)
		}
	}
	if len(codes) > 0 {
		return refused(codes...)
	}
	for _, id := range ids {
		o := w.find(faceOrigin, id.(string))
		lists := slices.DeleteFunc(slices.Clone(o.fields["lists"].([]any)), func(id any) bool { return id == list })
		if attach {
			lists = append(lists, list)
			slices.SortFunc(lists, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		o.fields = maps.Clone(o.fields)
		o.fields["lists"] = lists
	}
	return Outcome{Status: 204}
}

// deleteList answers DELETE of a list. With withFaces, the faces of the list that the
// account can see are deleted too.
func (w *World) deleteList(id string, withFaces bool, account string) Outcome {
	if l := w.list(id); l == nil || account != "" && l.account != account {
		return refused(22002)
	}
	in := func(o *object) bool { return slices.Contains(o.fields["lists"].([]any), any(id)) }
	if withFaces {
		w.removeObjects(faceOrigin, func(o *object) bool { return in(o) && o.visible(account) })
	}
	for _, o := range w.objects[faceOrigin] {
		if in(o) {
			o.fields = maps.Clone(o.fields)
			o.fields["lists"] = slices.DeleteFunc(slices.Clone(o.fields["lists"].([]any)), func(l any) bool { return l == id })
		}
	}
	w.lists = slices.DeleteFunc(w.lists, func(l *storedList) bool { return l.id == id })
	return Outcome{Status: 204}
}

// faceCount returns the number of faces of a list that an account can see.
func (w *World) faceCount(id, account string) float64 {
	n := 0.0
	for _, o := range w.objects[faceOrigin] {
		if o.visible(account) && slices.Contains(o.fields["lists"].([]any), any(id)) {
			n++
		}
	}
	return n
}

// shownList returns a list as a client sees it, without its time.
func (w *World) shownList(l *storedList, account string) map[string]any {
	all := map[string]any{"list_id": l.id, "face_count": w.faceCount(l.id, account)}
	if l.account != "" {
		all["account_id"] = l.account
	}
	if l.userData != "" {
		all["user_data"] = l.userData
	}
	return all
}
