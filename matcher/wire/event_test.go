package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

const (
	faceOfEvent = `"face_descriptor":{"version":1001,"data":"AQIDBA=="}`
	bodyOfEvent = `"body_descriptor":{"version":3001,"data":"BAMCAQ=="}`
	eventText   = `{"event_id":` + textA + `,"account_id":` + textB + `,"create_time":"2026-05-01T00:00:00.001Z","end_time":"1970-01-01T00:00:00.000Z",` +
		`"source":"cam-1","handler_id":` + textA + `,"stream_id":` + textB + `,"track_id":"t","external_id":"e","user_data":"u",` +
		`"tags":["b","a","b"],"face_id":` + textB + `,"age":33,"gender":0,"ethnic_group":2,"emotion":3,"mask":0,` +
		`"location":{"city":"c","area":"a","district":"d","street":"s","house_number":"1/2","geo_position":{"longitude":-1.5,"latitude":2.25}},` +
		`"top_match":{"object_id":` + textB + `,"external_id":"x","similarity":0},` +
		`"meta":{"shop":{"floor":3,"name":"<é>\n"},"b":[1,18446744073709551615,-0.5,null,{}],"a":true},` +
		`"source_group":"g","apparent_age":34,"apparent_gender":1,"headwear_state":0,"sleeve_length":[2,2,255],"upper_clothing_color":[]`
)

func fullEvent() *matcher.Object {
	end, similarity := matcher.Time(0), 0.0
	return &matcher.Object{
		Origin: matcher.Events, ID: idA, Account: idB, CreateTime: 1777593600001, ExternalID: "e", UserData: "u",
		Age: matcher.SmallOf(33), Gender: matcher.SmallOf(0), EthnicGroup: matcher.SmallOf(2),
		Descriptors: [matcher.DescriptorTypes]matcher.Descriptor{{Version: 1001, Data: []byte{1, 2, 3, 4}}, {Version: 3001, Data: []byte{4, 3, 2, 1}}},
		Event: &matcher.Event{
			EndTime: &end, Source: "cam-1", HandlerID: idA, StreamID: idB, TrackID: "t", Tags: []string{"b", "a", "b"}, FaceID: idB,
			Emotion: matcher.SmallOf(3), Mask: matcher.SmallOf(0),
			Location:    matcher.Location{City: "c", Area: "a", District: "d", Street: "s", HouseNumber: "1/2", Position: &matcher.Position{Longitude: -1.5, Latitude: 2.25}},
			TopMatch:    matcher.TopMatch{ObjectID: idB, ExternalID: "x", Similarity: &similarity},
			Meta:        `{"shop":{"floor":3,"name":"<é>\n"},"b":[1,18446744073709551615,-0.5,null,{}],"a":true}`,
			SourceGroup: "g", ApparentAge: matcher.SmallOf(34), ApparentGender: matcher.SmallOf(1),
			HeadwearState: matcher.OneSmall(0), SleeveLength: matcher.SmallsOf([]uint8{2, 2, 255}), UpperClothingColor: matcher.SmallsOf(nil),
		},
	}
}

// TestEventFields reads and writes an event with all fields and one without
// optional fields, in both formats.
func TestEventFields(t *testing.T) {
	d := newDecoder(t)
	whole := eventText + `,` + faceOfEvent + `,` + bodyOfEvent + `}`
	golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, fullEvent(), nil, BinaryDescriptors) }, whole)
	golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, fullEvent(), nil, NoDescriptors) }, eventText+"}")
	for _, f := range []Format{JSON, MessagePack} { // reading the event that was written
		in, err := d.Object(matcher.Events, f, AppendObject(nil, f, fullEvent(), nil, BinaryDescriptors))
		if diff := cmp.Diff(&ObjectInput{Object: *fullEvent(), HasID: true, HasTime: true, HasAccount: true}, in); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	bare := &matcher.Object{Origin: matcher.Events, ID: idB}
	golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, bare, nil, BinaryDescriptors) },
		`{"event_id":`+textB+`,"create_time":"1970-01-01T00:00:00.000Z"}`)
	nulls := `{` + bodyOfEvent + `,"face_descriptor":null,"tags":null,"location":{"city":null,"geo_position":null},"top_match":{"similarity":null},"meta":null,"end_time":null}`
	all, list, err := d.Events(JSON, []byte(nulls))
	if err != nil || list || len(all) != 1 {
		t.Fatal(all, list, err)
	}
	golden(t, func(dst []byte, f Format) []byte {
		return AppendObject(dst, f, &all[0].Object, []string{}, BinaryDescriptors)
	},
		`{"event_id":"00000000-0000-0000-0000-000000000000",`+bodyOfEvent+`}`)
	golden(t, func(dst []byte, f Format) []byte {
		return AppendObject(dst, f, fullEvent(), []string{"tags", "similarity", "mask"}, NoDescriptors)
	}, `{"event_id":`+textA+`,"tags":["b","a","b"],"mask":0}`)
}

func TestAttributeFields(t *testing.T) {
	d := newDecoder(t)
	text := `{"attribute_id":` + textA + `,"account_id":` + textB + `,"create_time":"1970-01-01T00:00:00.005Z","age":1,"gender":0,"ethnic_group":2,"descriptor":{"version":3001,"data":"BAMCAQ=="}}`
	in, err := d.Object(matcher.Attributes, JSON, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := ObjectInput{HasID: true, HasTime: true, HasAccount: true, Object: matcher.Object{
		Origin: matcher.Attributes, ID: idA, Account: idB, CreateTime: 5, Age: matcher.SmallOf(1), Gender: matcher.SmallOf(0), EthnicGroup: matcher.SmallOf(2),
		Descriptors: [matcher.DescriptorTypes]matcher.Descriptor{matcher.BodyDescriptor: {Version: 3001, Data: []byte{4, 3, 2, 1}}},
	}}
	if diff := cmp.Diff(&want, in); diff != "" {
		t.Error(diff)
	}
	golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, &in.Object, nil, BinaryDescriptors) }, text)
	for doc, detail := range map[string]string{
		`{}`: "descriptor: is missing", `{"user_data":"x",` + faceData + `}`: "user_data: unknown field",
		`{"attribute_id":5,` + faceData + `}`: "attribute_id: must be a UUID, got 5", `{"age":300,` + faceData + `}`: "age: must be an integer",
	} {
		_, err := d.Object(matcher.Attributes, JSON, []byte(doc))
		refused(t, err, matcher.CodeBadInput, detail)
	}
}

func TestEventRefuses(t *testing.T) {
	d := newDecoder(t)
	check := func(doc, detail string) {
		t.Helper()
		for _, err := range bothFormats(t, doc, func(f Format, b []byte) error { _, _, err := d.Events(f, b); return err }) {
			refused(t, err, matcher.CodeBadInput, detail)
		}
	}
	bad := func(field, detail string) {
		t.Helper()
		check("{"+field+","+faceOfEvent+"}", detail)
		check("[{"+faceOfEvent+"},{"+field+","+faceOfEvent+"}]", "body[1]."+detail)
	}
	check(`5`, "body: must be an object, got 5")
	check(`[]`, "body: must have 1 to 1000 events, got 0")
	check(`[`+strings.Repeat("{},", 1000)+`{}]`, "body: must have 1 to 1000 events, got 1001")
	check(`[{}]`, "body[0].face_descriptor: is missing")
	check(`{"face_descriptor":null}`, "face_descriptor: is missing")
	check(`{"face_descriptor":{"version":3001,"data":"AQIDBA=="}}`, "face_descriptor.version: must be a version of type face, got 3001 of type body")
	check(`{"body_descriptor":{"version":1001,"data":"AQIDBA=="}}`, "body_descriptor.version: must be a version of type body, got 1001 of type face")
	bad(`"descriptor":{}`, "descriptor: unknown field")
	bad(`"lists":[]`, "lists: unknown field")
	bad(`"event_id":1`, "event_id: must be a UUID, got 1")
	bad(`"end_time":"now-1d"`, `end_time: must be an RFC 3339 time, got "now-1d"`)
	bad(`"source":1`, "source: must be text, got 1")
	bad(`"handler_id":"x"`, `handler_id: must be a UUID, got "x"`)
	bad(`"stream_id":{}`, "stream_id: must be a UUID, got an object")
	bad(`"track_id":[]`, "track_id: must be text, got an array")
	bad(`"tags":"a"`, `tags: must be an array, got "a"`)
	bad(`"tags":["a",""]`, "tags[1]: must not be empty")
	bad(`"tags":["a",5]`, "tags[1]: must be text, got 5")
	bad(`"face_id":"00000000-0000-0000-0000-000000000000"`, "face_id: must not be the nil UUID")
	bad(`"emotion":256`, "emotion: must be an integer from 0 to 255, got 256")
	bad(`"sleeve_length":256`, "sleeve_length: must be an integer from 0 to 255, or an array of at most 16 of them, got 256")
	bad(`"sleeve_length":"1"`, `sleeve_length: must be an integer from 0 to 255, or an array of at most 16 of them, got "1"`)
	bad(`"sleeve_length":[1,1.5]`, "sleeve_length[1]: must be an integer from 0 to 255, got 1.5")
	bad(`"sleeve_length":[[1]]`, "sleeve_length[0]: must be an integer from 0 to 255, got an array")
	bad(`"sleeve_length":[`+strings.Repeat("1,", 16)+`1]`, "sleeve_length: must have at most 16 values, got 17")
	bad(`"mask":-1`, "mask: must be an integer from 0 to 255, got -1")
	bad(`"location":[]`, "location: must be an object, got an array")
	bad(`"location":{"country":"x"}`, "location.country: unknown field")
	bad(`"location":{"country":null}`, "location.country: unknown field")
	bad(`"location":{"city":5}`, "location.city: must be text, got 5")
	bad(`"location":{"geo_position":{"longitude":1}}`, "location.geo_position.latitude: is missing")
	bad(`"location":{"geo_position":{"longitude":180.5,"latitude":0}}`, "location.geo_position.longitude: must be a number from -180 to 180, got 180.5")
	bad(`"location":{"geo_position":{"longitude":0,"latitude":-91}}`, "location.geo_position.latitude: must be a number from -90 to 90, got -91")
	bad(`"location":{"geo_position":{"altitude":0}}`, "location.geo_position.altitude: unknown field")
	bad(`"top_match":{"similarity":1.1}`, "top_match.similarity: must be a number from 0 to 1, got 1.1")
	bad(`"top_match":{"object_id":"x"}`, `top_match.object_id: must be a UUID, got "x"`)
	bad(`"top_match":{"id":"x"}`, "top_match.id: unknown field")
	bad(`"meta":5`, "meta: must be an object, got 5")
	bad(`"meta":{"a":{"b":1,"c":{"d":1e999}}}`, "meta.a.c.d: ")
	bad(`"meta":`+strings.Repeat(`{"a":`, 25)+"1"+strings.Repeat("}", 25), "meta"+strings.Repeat(".a", 24)+": must not be nested deeper than 24 levels")
	_, _, err := d.Events(JSON, []byte(`{"meta":{"a":1,"a":2},`+faceOfEvent+`}`))
	refused(t, err, matcher.CodeBadInput, "meta.a: is given twice")
	_, _, err = d.Events(JSON, []byte(`{"meta":`+strings.Repeat(`{"a":`, 24)+"1"+strings.Repeat("}", 24)+`,`+faceOfEvent+`}`))
	if err != nil {
		t.Error(err)
	}
}

// TestFilterAliases checks that a second name of a filter means the same as the first, and
// that a request cannot have both.
func TestFilterAliases(t *testing.T) {
	d := newDecoder(t)
	for alias, values := range map[string][3]string{
		"top_similar_object_ids":             {"top_match_object_ids", `[` + textA + `]`, idA.String()},
		"top_similar_external_ids":           {"top_match_external_ids", `["x"]`, "x"},
		"top_similar_object_similarity__gte": {"top_match_similarity__gte", "0.25", "0.25"},
		"top_similar_object_similarity__lt":  {"top_match_similarity__lt", "0.75", "0.75"},
	} {
		name, body, query := values[0], values[1], values[2]
		both := "is another name of " + name + ", which is also given"
		want, err := d.QueryFilter(matcher.Events, once(map[string]string{name: query}))
		if err != nil || want.IsZero() {
			t.Fatal(name, err)
		}
		got, err := d.QueryFilter(matcher.Events, once(map[string]string{alias: query}))
		if diff := cmp.Diff(want, got, sameField); err != nil || diff != "" {
			t.Error(alias, err, diff)
		}
		_, err = d.QueryFilter(matcher.Events, once(map[string]string{alias: query, name: query}))
		refused(t, err, matcher.CodeBadInput, alias+": "+both)
		_, err = d.QueryFilter(matcher.Faces, once(map[string]string{alias: query}))
		refused(t, err, matcher.CodeBadInput, alias+": unknown filter of faces")
		request, err := d.Match(JSON, []byte(matchBody(rawRef, `{"filters":{"origin":"events","`+alias+`":`+body+`}}`)), matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(alias, err)
		}
		if diff := cmp.Diff(want, request.Candidates[0].Filter, sameField); diff != "" {
			t.Error(alias, diff)
		}
		_, err = d.Match(JSON, []byte(matchBody(rawRef, `{"filters":{"origin":"events","`+name+`":`+body+`,"`+alias+`":`+body+`}}`)), matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, alias+": "+both)
	}
}

// everyEventFilter returns each filter of events, as JSON and as a query writes it.
func everyEventFilter() map[string][2]string {
	filters := map[string][2]string{
		"event_ids":                 {`[` + textA + `]`, idA.String()},
		"face_ids":                  {`[` + textA + `,` + textB + `]`, idA.String() + "," + idB.String()},
		"event_id__gte":             {textA, idA.String()},
		"event_id__lt":              {textB, idB.String()},
		"sources":                   {`["a","b,c"]`, `["a","b,c"]`},
		"handler_ids":               {`[]`, ""},
		"track_ids":                 {`["5"]`, "5"},
		"tags":                      {`["true"]`, "true"},
		"emotions":                  {`[1,2]`, "1,2"},
		"cities":                    {`["é"]`, "é"},
		"geo_position":              {`{"origin_longitude":1.5,"origin_latitude":-2,"longitude_delta":0,"latitude_delta":3e-1}`, `{"origin_longitude":1.5,"origin_latitude":-2,"longitude_delta":0,"latitude_delta":3e-1}`},
		"end_time__gte":             {`"now-1d"`, "now-1d"},
		"end_time__lt":              {`"2026-05-01T00:00:00Z"`, "2026-05-01T00:00:00Z"},
		"top_match_similarity__gte": {`0.5`, "0.5"},
		"top_match_similarity__lt":  {`1`, "1"},
		"meta.shop.floor__eq":       {`3`, "3"},
		"meta.shop.floor__gte":      {`-1.5e3`, "-1.5e3"},
		"meta.shop.floor__lt":       {`7`, "7"},
		"meta.shop.floor__in":       {`[1,2.5]`, "1,2.5"},
		"meta.shop.name__eq":        {`"1"`, "1"},
		"meta.shop.name__in":        {`["a",""]`, `["a",""]`},
		"meta.shop.name__gte":       {`"b"`, "b"},
		"meta.vip__eq":              {`true`, "true"},
		"meta.vip__in":              {`[false]`, "false"},
	}
	for name, value := range fieldFilters(matcher.Events) {
		if _, ok := filters[name]; !ok {
			filters[name] = [2]string{value, strings.Trim(value, `["]`)}
		}
	}
	return filters
}

// fieldFilters returns each filter by a plain field of an origin, with a value in JSON.
func fieldFilters(o matcher.Origin) map[string]string {
	filters := map[string]string{}
	for _, f := range matcher.Fields(o) {
		value := map[matcher.FieldKind]string{matcher.TextField: `"t"`, matcher.UUIDField: textA, matcher.SmallField: "7", matcher.SmallsField: "7"}[f.Kind]
		if f.Any != "" {
			filters[f.Any] = "[" + value + "]"
		}
		if f.Is != "" {
			filters[f.Is] = value
		}
		if f.Range != "" {
			filters[f.Range+"__gte"], filters[f.Range+"__lt"] = value, value
		}
	}
	return filters
}

// TestEventFilters: a filter means the same in JSON, in MessagePack and in a
// query, and sets no other filter.
func TestEventFilters(t *testing.T) {
	d := newDecoder(t)
	filters := everyEventFilter()
	for name, forms := range filters {
		query, err := d.QueryFilter(matcher.Events, once(map[string]string{name: forms[1]}))
		if err != nil {
			t.Error(err)
			continue
		}
		if query.IsZero() {
			t.Errorf("%s sets no filter", name)
		}
		doc := matchBody(rawRef, `{"filters":{"origin":"events","`+name+`":`+forms[0]+`}}`)
		for _, err := range bothFormats(t, doc, func(f Format, b []byte) error {
			req, err := d.Match(f, b, matcher.FaceDescriptor)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(query, req.Candidates[0].Filter, sameField); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			return nil
		}) {
			if err != nil {
				t.Error(err)
			}
		}
	}
	for name := range filterFields[matcher.Events] {
		if _, ok := filters[name]; !ok && filterFields[matcher.Faces][name].bind == nil {
			t.Errorf("%s is not tested", name)
		}
	}
	got, err := d.QueryFilter(matcher.Events, once(map[string]string{"meta.shop.floor__in": "1,2.5", "meta.vip__eq": "true", "end_time__gte": "now-1d"}))
	day := matcher.TimeOf(now.AddDate(0, 0, -1))
	want := matcher.Filter{Event: matcher.EventFilter{EndTime: matcher.Range[matcher.Time]{GTE: &day}, Meta: []matcher.MetaFilter{
		{Field: d.MetaFields[0], Op: matcher.MetaIn, Values: []matcher.MetaValue{{Number: matcher.IntNumber(1)}, {Number: matcher.Number{Float: 2.5}}}},
		{Field: d.MetaFields[2], Op: matcher.MetaEQ, Values: []matcher.MetaValue{{Number: matcher.IntNumber(1)}}},
	}}}
	if diff := cmp.Diff(want, got, sameField); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestEventFiltersRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	bad := func(filter, detail string) {
		t.Helper()
		r.set(`{"filters":{"origin":"events",`+filter+`}}`, `.filters.`+detail)
	}
	bad(`"face_id__gte":`+textA, "face_id__gte: unknown filter of events")
	bad(`"sources":"a"`, `sources: must be an array, got "a"`)
	bad(`"emotions":[256]`, "emotions[0]: must be an integer from 0 to 255, got 256")
	bad(`"end_time__lt":5`, "end_time__lt: must be text, got 5")
	bad(`"geo_position":[]`, "geo_position: must be an object, got an array")
	bad(`"geo_position":{"origin_longitude":0}`, "geo_position.origin_latitude: is missing")
	bad(`"geo_position":{"origin_longitude":181}`, "geo_position.origin_longitude: must be a number from -180 to 180, got 181")
	bad(`"geo_position":{"longitude_delta":-1}`, "geo_position.longitude_delta: must be a number from 0 to 360, got -1")
	bad(`"geo_position":{"radius":1}`, "geo_position.radius: unknown field")
	bad(`"top_match_similarity__gte":"x"`, `top_match_similarity__gte: must be a finite number, got "x"`)
	bad(`"meta.shop__eq":1`, `meta.shop__eq: "shop" is not declared in events.meta_fields`)
	bad(`"meta.vip":true`, "meta.vip: must end in __eq, __gte, __lt or __in")
	bad(`"meta.vip__ne":true`, "meta.vip__ne: must end in")
	bad(`"meta.vip__gte":true`, "meta.vip__gte: must end in __eq or __in: vip is of type boolean")
	bad(`"meta.vip__eq":1`, "meta.vip__eq: must be true or false, got 1")
	bad(`"meta.shop.floor__eq":"3"`, `meta.shop.floor__eq: must be a finite number, got "3"`)
	bad(`"meta.shop.name__in":"a"`, `meta.shop.name__in: must be an array, got "a"`)
	bad(`"meta.shop.name__in":[1]`, `meta.shop.name__in[0]: must be text, got 1`)
	r.set(`{"filters":{"origin":"events"},"targets":["lists"]}`, `.targets[0]: must be one of event_id, `)
	r.set(`{"filters":{"origin":"attributes"},"targets":["user_data"]}`, `.targets[0]: must be one of attribute_id, `)
	d := newDecoder(t)
	for name, text := range map[string]string{
		"geo_position": "{", "top_match_similarity__gte": "", "meta.shop.floor__eq": "null", "meta.vip__eq": "1", "emotions": "1.5",
	} {
		_, err := d.QueryFilter(matcher.Events, once(map[string]string{name: text}))
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, text, err)
		}
	}
	_, err := d.QueryFilter(matcher.Faces, once(map[string]string{"meta.vip__eq": "true"}))
	refused(t, err, matcher.CodeBadInput, "meta.vip__eq: unknown filter of faces")
}

// TestMatchRows: the key of a row's object names its origin, and a client reads
// the rows.
func TestMatchRows(t *testing.T) {
	d := newDecoder(t)
	attribute := &matcher.Object{Origin: matcher.Attributes, ID: idB, CreateTime: 7, Age: matcher.SmallOf(9)}
	for _, c := range []struct {
		obj  *matcher.Object
		want string
	}{
		{fullEvent(), `{"event":` + eventText + `},"similarity":0.5,"distance":2}`},
		{attribute, `{"attribute":{"attribute_id":` + textB + `,"create_time":"1970-01-01T00:00:00.007Z","age":9},"similarity":0.5,"distance":2}`},
	} {
		filters := `{"origin":"` + c.obj.Origin.String() + `"}`
		req, err := d.Match(JSON, []byte(matchBody(rawRef, `{"filters":`+filters+`}`)), matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		results := [][]matcher.Result{{{Matches: []matcher.Match{{ID: c.obj.ID, Similarity: 0.5, Distance: 2, Object: c.obj}}}}}
		refs := []matcher.Reference{{Type: matcher.RefRaw, ID: "r"}}
		golden(t, func(dst []byte, f Format) []byte { return AppendMatches(dst, f, req, refs, results, nil) },
			`[{"reference":{"type":"raw_descriptor","id":"r"},"matches":[{"filters":`+filters+`,"result":[`+c.want+`]}]}]`)
		for _, f := range []Format{JSON, MessagePack} {
			got, err := ParseAnswer(f, AppendMatches(nil, f, req, refs, results, nil))
			if err != nil {
				t.Fatal(err)
			}
			want := *c.obj
			want.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
			if diff := cmp.Diff(AnswerRow{Object: want, Similarity: 0.5, Distance: 2, HasSimilarity: true, HasDistance: true}, got[0].Matches[0].Rows[0]); diff != "" {
				t.Error(diff)
			}
		}
	}
}
