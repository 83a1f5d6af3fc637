package route_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearside/matcher"
	"nearside/matcher/route"
)

// object returns object n of a remote. key is its external ID, and the track ID if
// it is an event.
func object(o matcher.Origin, n byte, key string) matcher.Object {
	obj := matcher.Object{Origin: o, ID: id(n), ExternalID: key, Event: &matcher.Event{}}
	if o == matcher.Events {
		obj.Event.TrackID = key
	}
	obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: []byte{n}}
	return obj
}

func ref(t matcher.ReferenceType, n byte) matcher.Reference {
	return matcher.Reference{Type: t, ID: id(n).String()}
}

func named(t matcher.ReferenceType, key string) matcher.Reference {
	return matcher.Reference{Type: t, ID: key}
}

// inquiry is a router with four remotes and the calls that they received: faces
// owns a list, events owns events, r1 and r2 are replicas.
type inquiry struct {
	remotes
	route.Options
	asked []string
}

func newInquiry(t *testing.T) *inquiry {
	q := &inquiry{}
	newRemote := func(name string, replica bool, has ...matcher.Object) *remote {
		return &remote{fake: costs(name, 500), replica: replica, has: has, asked: &q.asked}
	}
	q.remotes = remotes{
		[]*remote{
			newRemote("r1", true, object(matcher.Faces, 40, "k40"), object(matcher.Events, 41, "k41")),
			newRemote("faces", false, object(matcher.Faces, 10, "k10"), object(matcher.Faces, 11, "twins"), object(matcher.Attributes, 12, "")),
			newRemote("r2", true, object(matcher.Faces, 50, "k50"), object(matcher.Attributes, 51, "")),
			newRemote("events", false, object(matcher.Events, 20, "k20"), object(matcher.Events, 21, "k20"), object(matcher.Faces, 22, "k22")),
		},
		&matcher.Owners{Lists: map[matcher.ID][]string{id(1): {"faces"}}},
	}
	q.owners.Origins[matcher.Events] = []string{"events"}
	q.Options = options(t, costs("local", 100), q.remotes)
	return q
}

// match resolves references and describes the result: the number of each object,
// and for a key also its ID.
func (q *inquiry) match(ctx context.Context, req *route.Request) (string, error) {
	q.asked = nil
	req.Candidates = req.Candidates[:1]
	a, err := route.New(q.Options).Match(ctx, req)
	if err != nil {
		return "", err
	}
	var found []string
	for i, r := range a.References {
		text := "none"
		if !r.Descriptor.IsZero() {
			text = strconv.Itoa(int(r.Descriptor.Data[0]))
			if got := a.Results[i][0].Matches[0].Distance; got != float64(r.Descriptor.Data[0])*1000+1 {
				return "", fmt.Errorf("reference %d was matched at %v", i, got)
			}
		}
		if !r.ObjectID.IsZero() {
			text += fmt.Sprintf("(%s %d)", r.ID, r.ObjectID[0])
		}
		found = append(found, text)
	}
	return strings.Join(found, " "), nil
}

// remote returns a remote by its name.
func (q *inquiry) remote(name string) *remote {
	return q.all[slices.IndexFunc(q.all, func(r *remote) bool { return r.name == name })]
}

// TestReferencesOfRemotes: objects that are not in the local store are searched at
// the owners of data of their origin, then at replicas, then at the other remotes,
// until they are found. Each remote gets one call for all of them.
func TestReferencesOfRemotes(t *testing.T) {
	check := func(want string, asked []string, refs ...matcher.Reference) {
		t.Helper()
		q := newInquiry(t)
		got, err := q.match(t.Context(), request(refs...))
		if err != nil || got != want || !slices.Equal(q.asked, asked) {
			t.Errorf("%q, %v, want %q; asked %q, want %q", got, err, want, q.asked, asked)
		}
	}
	const face, event, attribute = matcher.RefFace, matcher.RefEvent, matcher.RefAttribute
	check("7", nil, raw(7))
	check("1", nil, ref(face, 1)) // it is in the local store
	check("10", []string{"faces find faces 10"}, ref(face, 10))
	check("40", []string{"faces find faces 40", "r1 find faces 40"}, ref(face, 40))
	check("50", []string{"faces find faces 50", "r1 find faces 50", "r2 find faces 50"}, ref(face, 50))
	check("22", []string{"faces find faces 22", "r1 find faces 22", "r2 find faces 22", "events find faces 22"}, ref(face, 22))
	check("20", []string{"events find events 20"}, ref(event, 20))
	check("41", []string{"events find events 41", "r1 find events 41"}, ref(event, 41))
	check("51", []string{"r1 find attributes 51", "r2 find attributes 51"}, ref(attribute, 51))
	check("12", []string{"r1 find attributes 12", "r2 find attributes 12", "faces find attributes 12"}, ref(attribute, 12))

	// All in one call, each ID once, without those that were found already.
	check("1 40 20 10 40 7", []string{"faces find faces 40,10", "r1 find faces 40", "events find events 20"},
		ref(face, 1), ref(face, 40), ref(event, 20), ref(face, 10), ref(face, 40), raw(7))

	// Keys also stand for the objects of owners. Other remotes count only for keys
	// without objects.
	const faceKey, eventKey, track = matcher.RefFaceExternalID, matcher.RefEventExternalID, matcher.RefEventTrackID
	check("1(twins 1) 2(twins 2) 11(twins 11)", []string{"faces keys face_external_id=twins", "faces find faces 11"}, named(faceKey, "twins"))
	check("10(k10 10)", []string{"faces keys face_external_id=k10", "faces find faces 10"}, named(faceKey, "k10"))
	check("40(k40 40)", []string{"faces keys face_external_id=k40", "faces find faces ", "r1 keys face_external_id=k40", "r1 find faces 40"}, named(faceKey, "k40"))
	check("20(k20 20) 21(k20 21) 20(k20 20) 21(k20 21) 20(k20 20) 21(k20 21)",
		[]string{"events keys event_external_id=k20,event_track_id=k20", "events find events 20,21,20,21"},
		named(eventKey, "k20"), named(track, "k20"), named(eventKey, "k20"))
	check("none", []string{
		"faces keys face_external_id=x", "faces find faces ", "r1 keys face_external_id=x", "r1 find faces ",
		"r2 keys face_external_id=x", "r2 find faces ", "events keys face_external_id=x", "events find faces ",
	}, named(faceKey, "x"))
}

// TestReferencesWithoutObject: the error is that of the first reference in request
// order, with its path.
func TestReferencesWithoutObject(t *testing.T) {
	q := newInquiry(t)
	check := func(code matcher.Code, detail string, req *route.Request) {
		t.Helper()
		got, err := q.match(t.Context(), req)
		if matcher.CodeOf(err) != code || err == nil || !strings.HasPrefix(err.Error(), detail) {
			t.Errorf("%q, %v; want %d: %s", got, err, code, detail)
		}
	}
	const event, face = matcher.RefEvent, matcher.RefFace
	check(matcher.CodeEventNotFound, "references[1].id: event "+id(99).String()+" does not exist", request(ref(face, 10), ref(event, 99), ref(face, 99)))
	check(matcher.CodeFaceNotFound, "references[0].id: face ", request(ref(face, 99), ref(event, 99)))
	bad := matcher.Reference{Type: face, ID: "x"}
	check(matcher.CodeFaceNotFound, "references[0].id: ", request(ref(face, 99), bad))
	check(matcher.CodeBadInput, "references[1].id: ", request(ref(face, 10), bad, ref(face, 99)))

	account := id(5)
	req := request(ref(face, 10))
	req.Account = &account
	check(matcher.CodeFaceNotFound, "references[0].id: ", req) // it belongs to another account

	bodies := request(ref(face, 10))
	bodies.Type = matcher.BodyDescriptor
	check(matcher.CodeNoDescriptor, "references[0].id: face "+id(10).String()+" has no body descriptor of a version that is registered here", bodies)
	req = request(ref(face, 10))
	req.Version = 58
	check(matcher.CodeWrongVersion, "references[0]: its descriptor has version 59", req)
	req = request(named(matcher.RefEventTrackID, "k20"))
	req.ReferencesMax = 1
	check(matcher.CodeTooMany, "references[0].id: with this key the references are 2 or more, the limit is 1", req)
	req = request(raw(1), named(matcher.RefFaceExternalID, "twins"))
	req.ReferencesMax = 3
	check(matcher.CodeTooMany, "references: must be at most 3 after each key is replaced by its objects, got 4 or more", req)
	req.ReferencesMax = 4
	if got, err := q.match(t.Context(), req); err != nil || got != "1 1(twins 1) 2(twins 2) 11(twins 11)" {
		t.Error(got, err)
	}
}

// TestRemotesThatDoNotAnswer: if a remote that may have an object does not answer,
// its error is returned, because it is not certain that the object does not exist.
func TestRemotesThatDoNotAnswer(t *testing.T) {
	const face, event, faceKey = matcher.RefFace, matcher.RefEvent, matcher.RefFaceExternalID
	check := func(failing, want string, refs ...matcher.Reference) {
		t.Helper()
		q := newInquiry(t)
		q.remote(failing).err = matcher.Errorf(matcher.CodeUnavailable, "remote %s: gone", failing)
		got, err := q.match(t.Context(), request(refs...))
		if err != nil {
			got = fmt.Sprintf("%d %s", matcher.CodeOf(err), err)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("without %s: %q, want %q", failing, got, want)
		}
	}
	check("faces", "1", ref(face, 1))
	check("faces", "40", ref(face, 40)) // a replica has it
	check("faces", "12050 references[1].id: remote faces: gone", ref(face, 1), ref(face, 99))
	check("faces", "12050 references[0].id: remote faces: gone", ref(face, 10))
	check("faces", "12050 references[0].id: remote faces: gone", named(faceKey, "twins"))
	check("faces", "12050 references[0].id: remote faces: gone", named(faceKey, "k40"))
	check("faces", "20", ref(event, 20))
	check("faces", "22007 ", ref(event, 99)) // faces owns no events
	check("r1", "12050 references[0].id: remote r1: gone", ref(face, 99))
	check("r1", "10 50", ref(face, 10), ref(face, 50))
	check("r1", "1(twins 1) 2(twins 2) 11(twins 11)", named(faceKey, "twins"))
	check("r1", "12050 references[0].id: remote r1: gone", named(faceKey, "x"))
	check("events", "22004 ", ref(face, 99))
	check("events", "none", named(faceKey, "x"))
	check("events", "12050 references[0].id: remote events: gone", ref(event, 99))
	check("events", "22004 references[0].id: face ", ref(face, 99), ref(event, 99))
}

// TestReferencesEndWithTheRequest: if the deadline passes meanwhile, the error is
// CodeDeadline. Objects in the local store need no remote.
func TestReferencesEndWithTheRequest(t *testing.T) {
	q := newInquiry(t)
	q.remote("faces").err = context.DeadlineExceeded
	if _, err := q.match(t.Context(), request(ref(matcher.RefFace, 99))); matcher.CodeOf(err) != matcher.CodeDeadline {
		t.Error(err)
	}
	q.remote("faces").err = context.Canceled
	if _, err := q.match(t.Context(), request(ref(matcher.RefFace, 99))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got, err := q.match(t.Context(), request(ref(matcher.RefFace, 1))); got != "1" || err != nil {
		t.Error(got, err)
	}
}
