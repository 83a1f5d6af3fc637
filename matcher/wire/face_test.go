package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

const faceData = `"descriptor":{"version":1001,"data":"AQIDBA=="}`

func TestFaceRefuses(t *testing.T) {
	d := newDecoder(t)
	decoders := map[string]func(Format, []byte) error{
		"Face":      func(f Format, b []byte) error { _, err := d.Object(matcher.Faces, f, b); return err },
		"FacePatch": func(f Format, b []byte) error { _, err := d.FacePatch(f, b); return err },
	}
	check := func(doc string, code matcher.Code, detail string) {
		t.Helper()
		for _, decode := range decoders {
			for _, err := range bothFormats(t, doc, decode) {
				refused(t, err, code, detail)
			}
		}
	}
	bad := func(field, detail string) { t.Helper(); check("{"+field+"}", matcher.CodeBadInput, detail) }
	check(`[]`, matcher.CodeBadInput, "body: must be an object, got an array")
	bad(`"foo":1`, "foo: unknown field")
	bad(`"foo":null`, "foo: unknown field")
	bad(`"face_id":"x"`, `face_id: must be a UUID, got "x"`)
	bad(`"face_id":"00000000-0000-0000-0000-000000000000"`, `face_id: must not be the nil UUID`)
	bad(`"account_id":5`, `account_id: must be a UUID, got 5`)
	bad(`"event_id":"{`+idA.String()+`}"`, `must be a UUID`)
	bad(`"external_id":5`, `external_id: must be text, got 5`)
	bad(`"user_data":[]`, `user_data: must be text, got an array`)
	bad(`"avatar":true`, `avatar: must be text, got true`)
	bad(`"create_time":"now-5m"`, `create_time: must be an RFC 3339 time, got "now-5m"`)
	bad(`"create_time":1780000000`, `create_time: must be an RFC 3339 time, got 1780000000`)
	bad(`"create_time":"2026-02-30T00:00:00Z"`, `create_time: must be an RFC 3339 time, got "2026-02-30T00:00:00Z"`)
	bad(`"lists":"x"`, `lists: must be an array, got "x"`)
	bad(`"lists":["`+idA.String()+`",null]`, `lists[1]: must be a UUID, got null`)
	bad(`"age":256`, `age: must be an integer from 0 to 255, got 256`)
	bad(`"gender":-1`, `gender: must be an integer from 0 to 255, got -1`)
	bad(`"ethnic_group":"1"`, `ethnic_group: must be an integer from 0 to 255, got "1"`)
	bad(`"descriptor":5`, `descriptor: must be {"version", "data"} or the bytes of an SDK descriptor, got 5`)
	bad(`"descriptor":{"version":1001}`, `descriptor.data: is missing`)
	bad(`"descriptor":{"version":1001,"data":"AQID"}`, `descriptor.data: version 1001 needs 4 bytes, got 3`)
	bad(`"descriptor":{"version":3001,"data":"AQIDBA=="}`, `descriptor.version: must be a version of type face, got 3001 of type body; a face cannot have a body descriptor`)
	check(`{"descriptor":{"version":9,"data":"AQIDBA=="}}`, matcher.CodeUnknownVersion, `descriptor.version: 9 is not registered`)
	check(`{"lists":[`+strings.Repeat(`"`+idA.String()+`",`, 5)+`"`+idA.String()+`"]}`, matcher.CodeTooMany, "lists: must have at most 5 items (limits.filter_values), got 6")

	decoders = map[string]func(Format, []byte) error{"Face": decoders["Face"]}
	bad(``, "descriptor: is missing")
	bad(`"descriptor":null`, "descriptor: is missing")

	decoders = map[string]func(Format, []byte) error{
		"FacePatch": func(f Format, b []byte) error { _, err := d.FacePatch(f, b); return err },
	}
	for _, key := range []string{"face_id", "account_id", "create_time", "descriptor"} {
		bad(`"`+key+`":null`, key+": cannot be cleared")
	}
}

func TestFace(t *testing.T) {
	d := newDecoder(t)
	check := func(doc string, want ObjectInput) {
		t.Helper()
		for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
			got, err := d.Object(matcher.Faces, f, body)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Error(diff)
			}
			return nil
		}) {
			if err != nil {
				t.Error(err)
			}
		}
	}
	descriptors := [matcher.DescriptorTypes]matcher.Descriptor{{Version: 1001, Data: []byte{1, 2, 3, 4}}}
	check("{"+faceData+"}", ObjectInput{Object: matcher.Object{Descriptors: descriptors}})
	check(`{"face_id":null,"lists":null,"age":null,"user_data":null,"create_time":null,"account_id":null,`+faceData+"}",
		ObjectInput{Object: matcher.Object{Descriptors: descriptors}})
	check(`{"lists":[],`+faceData+"}", ObjectInput{Object: matcher.Object{Descriptors: descriptors, Lists: []matcher.ID{}}, HasLists: true})
	check(`{"descriptor":"`+sdkForm(1001, 1, 2, 3, 4)+`"}`,
		ObjectInput{Object: matcher.Object{Descriptors: descriptors}})
	check(`{"face_id":"`+strings.ToUpper(idA.String())+`","account_id":"`+idB.String()+`","event_id":"`+idB.String()+`","external_id":"e","user_data":"é\n",
		"avatar":"a","create_time":"2026-05-01T02:00:00.0019+02:00","lists":["`+idB.String()+`","`+idA.String()+`","`+idB.String()+`"],
		"age":0,"gender":1,"ethnic_group":255,`+faceData+"}",
		ObjectInput{
			Object: matcher.Object{
				ID: idA, Account: idB, EventID: idB, ExternalID: "e", UserData: "é\n", Avatar: "a", CreateTime: 1777593600001,
				Lists: []matcher.ID{idB, idA, idB}, Age: matcher.SmallOf(0), Gender: matcher.SmallOf(1), EthnicGroup: matcher.SmallOf(255),
				Descriptors: descriptors,
			},
			HasID: true, HasLists: true, HasTime: true, HasAccount: true,
		})
}

func TestFacePatch(t *testing.T) {
	d := newDecoder(t)
	full := matcher.Object{
		ID: idA, Account: idB, EventID: idB, ExternalID: "e", UserData: "u", Avatar: "a", CreateTime: 5,
		Lists: []matcher.ID{idA}, Age: matcher.SmallOf(1), Gender: matcher.SmallOf(1), EthnicGroup: matcher.SmallOf(1),
		Descriptors: [matcher.DescriptorTypes]matcher.Descriptor{{Version: 1001, Data: []byte{1, 2, 3, 4}}},
	}
	check := func(doc string, code matcher.Code, change func(*matcher.Object)) {
		t.Helper()
		patch, err := d.FacePatch(JSON, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		got, want := full, full
		change(&want)
		if err := patch(&got); code != 0 {
			refused(t, err, code, "_id: ")
		} else if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	unchanged := func(*matcher.Object) {}
	check(`{}`, 0, unchanged)
	check(`{"user_data":null,"external_id":null,"avatar":null,"event_id":null,"lists":null,"age":null,"gender":null,"ethnic_group":null}`, 0,
		func(o *matcher.Object) {
			*o = matcher.Object{ID: idA, Account: idB, CreateTime: 5, Descriptors: full.Descriptors}
		})
	check(`{"user_data":"v","age":9,"lists":["`+idB.String()+`"],"create_time":"1970-01-01T00:00:00Z","descriptor":{"version":1001,"data":"BQYHCA=="}}`, 0,
		func(o *matcher.Object) {
			o.UserData, o.Age, o.Lists, o.CreateTime = "v", matcher.SmallOf(9), []matcher.ID{idB}, 0
			o.Descriptors[0].Data = []byte{5, 6, 7, 8}
		})
	check(`{"face_id":"`+idA.String()+`","account_id":"`+idB.String()+`","avatar":"b"}`, 0, func(o *matcher.Object) { o.Avatar = "b" })
	check(`{"avatar":"b","face_id":"`+idB.String()+`"}`, matcher.CodeBadInput, unchanged)
	check(`{"avatar":"b","account_id":"`+idA.String()+`"}`, matcher.CodeBadInput, unchanged)
}

func TestLists(t *testing.T) {
	d := newDecoder(t)
	check := func(decode func(Format, []byte) error, doc, detail string) {
		t.Helper()
		for _, err := range bothFormats(t, doc, decode) {
			refused(t, err, matcher.CodeBadInput, detail)
		}
	}
	list := func(f Format, b []byte) error { _, err := d.List(f, b); return err }
	patch := func(f Format, b []byte) error { _, err := d.ListPatch(f, b); return err }
	link := func(f Format, b []byte) error { _, err := d.Linker(f, b); return err }
	for _, decode := range []func(Format, []byte) error{list, patch} {
		check(decode, `7`, "body: must be an object, got 7")
		check(decode, `{"name":1}`, "name: unknown field")
		check(decode, `{"list_id":"x"}`, `list_id: must be a UUID, got "x"`)
		check(decode, `{"account_id":"00000000-0000-0000-0000-000000000000"}`, `account_id: must not be the nil UUID`)
		check(decode, `{"user_data":1}`, `user_data: must be text, got 1`)
	}
	check(patch, `{"list_id":null}`, "list_id: cannot be cleared")
	check(patch, `{"account_id":null}`, "account_id: cannot be cleared")
	ids := `"list_id":"` + idA.String() + `","face_ids":["` + idB.String() + `","` + idA.String() + `","` + idB.String() + `"]`
	check(link, `{}`, "action: is missing")
	check(link, `{"action":"attach"}`, "list_id: is missing")
	check(link, `{"action":"attach","list_id":"`+idA.String()+`"}`, "face_ids: is missing")
	check(link, `{"action":"link"}`, `action: must be attach or detach, got "link"`)
	check(link, `{"action":null}`, `action: must be attach or detach, got null`)
	check(link, `{"list_id":null}`, `list_id: must be a UUID, got null`)
	check(link, `{"face_ids":[]}`, `face_ids: must not be empty`)
	check(link, `{"face_ids":["x"]}`, `face_ids[0]: must be a UUID, got "x"`)
	check(link, `{"x":1}`, `x: unknown field`)

	in, err := d.List(JSON, []byte(`{"list_id":"`+idA.String()+`","account_id":null,"user_data":"u"}`))
	if diff := cmp.Diff(&ListInput{List: matcher.List{ID: idA, UserData: "u"}, HasID: true}, in); err != nil || diff != "" {
		t.Error(err, diff)
	}
	req, err := d.Linker(JSON, []byte(`{"action":"attach",`+ids+`}`))
	if diff := cmp.Diff(&LinkRequest{Attach: true, ListID: idA, FaceIDs: []matcher.ID{idB, idA, idB}}, req); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if req, err := d.Linker(JSON, []byte(`{"action":"detach",`+ids+`}`)); err != nil || req.Attach {
		t.Error(err, req)
	}
}

func TestListPatch(t *testing.T) {
	d := newDecoder(t)
	check := func(doc string, code matcher.Code, userData string) {
		t.Helper()
		patch, err := d.ListPatch(JSON, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		l := matcher.List{ID: idA, Account: idB, UserData: "u", CreateTime: 5}
		if err := patch(&l); code != 0 {
			refused(t, err, code, "_id: ")
		} else if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(matcher.List{ID: idA, Account: idB, UserData: userData, CreateTime: 5}, l); diff != "" {
			t.Error(diff)
		}
	}
	check(`{}`, 0, "u")
	check(`{"user_data":"v"}`, 0, "v")
	check(`{"user_data":null}`, 0, "")
	check(`{"user_data":"v","list_id":"`+idA.String()+`","account_id":"`+idB.String()+`"}`, 0, "v")
	check(`{"user_data":"v","list_id":"`+idB.String()+`"}`, matcher.CodeBadInput, "u")
	check(`{"user_data":"v","account_id":"`+idA.String()+`"}`, matcher.CodeBadInput, "u")
}
