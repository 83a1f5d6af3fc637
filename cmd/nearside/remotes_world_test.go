package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nearside/internal/precise"
)

// remotesConfig is serveConfig with version 1002 for bodies, and short
// deadlines.
const remotesConfig = serveConfig + `    - {number: 1002, type: body, encoding: uint8, length: 16, scale: 1, similarity: {midpoint: 1000, steepness: 0.01}}
limits: {request_timeout: 10s}
`

// Lists of the tests. listHere belongs to the server that is asked, listEast to east,
// listWest to west, and listBoth to both. listNowhere does not exist.
const (
	listHere    = "10000000-0000-4000-8000-000000000000"
	listEast    = "10000000-0000-4000-8000-000000000001"
	listBoth    = "10000000-0000-4000-8000-000000000002"
	listWest    = "10000000-0000-4000-8000-000000000003"
	listNowhere = "10000000-0000-4000-8000-000000000004"

	accountA = "aaaaaaaa-0000-4000-8000-000000000000"
	accountB = "bbbbbbbb-0000-4000-8000-000000000000"
)

// places are the servers. The first one is the server that is asked.
var places = []string{"here", "east", "west"}

// object is a face, an event or an attribute, and the servers that have it.
type object struct {
	at                          []string
	origin                      string
	id, account, external, data string // data is user_data
	track                       string
	second                      int // of create_time
	lists                       []string
	face, body                  string // descriptors of 16 bytes, or empty
}

// id returns an ID that encodes a kind and a number.
func id(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

func (o *object) json() map[string]any {
	single := strings.TrimSuffix(o.origin, "s")
	m := map[string]any{single + "_id": o.id, "create_time": o.time()}
	putText := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	putText("account_id", o.account)
	if o.origin != "attributes" {
		putText("external_id", o.external)
		putText("user_data", o.data)
	}
	descriptor := "descriptor"
	switch o.origin {
	case "faces":
		m["lists"] = append([]string{}, o.lists...)
	case "events":
		putText("track_id", o.track)
		descriptor = "face_descriptor"
		if o.body != "" {
			m["body_descriptor"] = map[string]any{"version": 1002, "data": []byte(o.body)}
		}
	}
	if o.face != "" {
		m[descriptor] = map[string]any{"version": 1001, "data": []byte(o.face)}
	}
	return m
}

func (o *object) time() string {
	return fmt.Sprintf("2026-05-01T00:%02d:%02d.000Z", o.second/60, o.second%60)
}

func (o *object) visible(account string) bool { return account == "" || o.account == account }

func (o *object) descriptor(bodies bool) string {
	if bodies {
		return o.body
	}
	return o.face
}

// world has all objects. It computes the answers of a server with two remotes: east owns
// listEast and listBoth, west owns listBoth, listWest and all events.
type world struct{ objects []*object }

// owners returns the remotes that own a list.
func owners(list string) []string {
	return map[string][]string{listEast: {"east"}, listBoth: {"east", "west"}, listWest: {"west"}}[list]
}

// owner returns the server that answers for a set, or false if no server can.
func (s *askedSet) owner() (string, bool) {
	if s.Filters.Origin == "events" {
		return "west", true
	}
	named := s.Filters.Lists
	if s.Filters.ListID != "" {
		named = append([]string{s.Filters.ListID}, named...)
	}
	var able []string
	for _, place := range places {
		knows := func(list string) bool {
			return slices.Contains(owners(list), place) || owners(list) == nil && place == "here"
		}
		if !slices.ContainsFunc(named, func(l string) bool { return !knows(l) }) && (place == "here" || len(named) > 0) {
			able = append(able, place)
		}
	}
	if able == nil {
		return "", false
	}
	return able[0], true
}

// askedSet is a candidate set.
type askedSet struct {
	Filters   askedFilters `json:"filters"`
	Limit     int          `json:"limit,omitempty"`
	Threshold float64      `json:"threshold,omitempty"`
	Order     string       `json:"order,omitempty"`
	Targets   []string     `json:"targets,omitzero"`
}

type askedFilters struct {
	Origin   string   `json:"origin"`
	ListID   string   `json:"list_id,omitempty"`
	Lists    []string `json:"lists,omitempty"`
	External []string `json:"external_ids,omitempty"`
}

// passes reports whether o is in the set.
func (s *askedSet) passes(o *object) bool {
	f := &s.Filters
	in := func(list string) bool { return slices.Contains(o.lists, list) }
	return o.origin == f.Origin && (f.ListID == "" || in(f.ListID)) && (len(f.Lists) == 0 || slices.ContainsFunc(f.Lists, in)) &&
		(len(f.External) == 0 || slices.Contains(f.External, o.external))
}

// askedReference is a reference of a request.
type askedReference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func rawReference(descriptor string) askedReference {
	return askedReference{Type: "raw_descriptor", ID: "probe", Data: map[string]any{"version": 1001, "data": []byte(descriptor)}}
}

// wantReference is a reference of an answer.
type wantReference struct{ typ, id, objectID, descriptor string }

// codesNotFound are the codes of objects that do not exist.
var codesNotFound = map[string]int{"face": 22004, "event": 22007, "attribute": 22005}

// resolve returns the objects that a reference stands for, or the code of the error.
func (w *world) resolve(r askedReference, account string, bodies bool) (found []wantReference, code int) {
	switch r.Type {
	case "raw_descriptor":
		return []wantReference{{r.Type, r.ID, "", string(r.Data.(map[string]any)["data"].([]byte))}}, 0
	case "face", "event", "attribute":
		for _, place := range places {
			for _, o := range w.objects {
				if o.origin != r.Type+"s" || o.id != r.ID || !slices.Contains(o.at, place) || !o.visible(account) {
					continue
				}
				if o.descriptor(bodies) == "" {
					return nil, 22008
				}
				return []wantReference{{r.Type, r.ID, "", o.descriptor(bodies)}}, 0
			}
		}
		return nil, codesNotFound[r.Type]
	}
	for _, o := range w.objects {
		same := r.Type == "face_external_id" && o.origin == "faces" && o.external == r.ID ||
			r.Type == "event_external_id" && o.origin == "events" && o.external == r.ID ||
			r.Type == "event_track_id" && o.origin == "events" && o.track == r.ID
		known := slices.ContainsFunc(found, func(f wantReference) bool { return f.objectID == o.id })
		if same && !known && o.visible(account) && o.descriptor(bodies) != "" {
			found = append(found, wantReference{r.Type, r.ID, o.id, o.descriptor(bodies)})
		}
	}
	slices.SortFunc(found, func(a, b wantReference) int { return cmp.Compare(a.objectID, b.objectID) })
	if found == nil {
		found = []wantReference{{r.Type, r.ID, "", ""}}
	}
	return found, 0
}

// wantRow is a row of an answer.
type wantRow struct {
	*object
	distance, similarity float64
}

// distanceAndSimilarity returns the distance and the similarity of two descriptors.
func distanceAndSimilarity(a, b string) (distance, similarity float64) {
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		distance += d * d
	}
	const m, k = 1000, 0.01
	return distance, precise.Similarity(m, k, distance)
}

// rows returns the rows of a set at a server, compared with a descriptor.
func (w *world) rows(place, descriptor string, s *askedSet, account string, bodies bool) []wantRow {
	var rows []wantRow
	for _, o := range w.objects {
		if !slices.Contains(o.at, place) || !s.passes(o) || !o.visible(account) || o.descriptor(bodies) == "" || descriptor == "" {
			continue
		}
		if d, similarity := distanceAndSimilarity(descriptor, o.descriptor(bodies)); similarity >= s.Threshold {
			rows = append(rows, wantRow{o, d, similarity})
		}
	}
	slices.SortFunc(rows, func(a, b wantRow) int {
		first := cmp.Compare(a.distance, b.distance)
		switch s.Order {
		case "create_time_asc":
			first = cmp.Compare(a.second, b.second)
		case "create_time_desc":
			first = cmp.Compare(b.second, a.second)
		}
		return cmp.Or(first, cmp.Compare(a.id, b.id))
	})
	return rows[:min(len(rows), cmp.Or(s.Limit, 5))]
}
