package server_test

import (
	"os"
	"strings"
	"testing"
)

const (
	knownFace = "5dc73618-3df8-563e-bc95-4cff773c93ec" // the first face of the sample data
	nobody    = "00000000-0000-4000-8000-000000000000"
	staff     = "22222222-0000-4000-8000-000000000001"
)

// TestOpenAPILive compares the server with the OpenAPI document. It calls every operation
// and checks every answer. It also checks that the document allows exactly the bodies
// that the server accepts.
func TestOpenAPILive(t *testing.T) {
	d := serveDocumented(t)
	faces, err := os.ReadFile("../../bench/data/faces.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	face, _, _ := strings.Cut(string(faces), "\n")
	_, descriptor, _ := strings.Cut(face, `"descriptor": `)
	descriptor = strings.TrimSuffix(descriptor, "}")

	callFaces(t, d, face, descriptor)
	d.call(t, 200, "POST", "/1/import", "/1/import?origin=faces&list_id="+staff, string(faces)+"{\n")
	d.call(t, 400, "POST", "/1/import", "/1/import?origin=bodies", string(faces))
	d.call(t, 200, "GET", "/1/export", "/1/export?origin=faces&lists="+staff, "")
	callEvents(t, d, descriptor)
	callLists(t, d)
	callMatches(t, d, descriptor)
	callDeletes(t, d)
	for _, path := range []string{"/1/crossmatcher/faces", "/1/crossmatcher/bodies"} {
		d.call(t, 201, "POST", path, path, `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"events"}},"limit":1,"targets":[]}`)
		d.call(t, 400, "POST", path, path, `{"references":{"filters":{"origin":"faces"}}}`)
	}
	d.call(t, 200, "GET", "/1/plugins", "/1/plugins", "")
	d.call(t, 200, "POST", "/1/plugins/reload", "/1/plugins/reload", "")
	d.call(t, 400, "POST", "/1/plugins/reload", "/1/plugins/reload?hard=1", "")
	callTasks(t, d)
	d.call(t, 200, "GET", "/1/audit", "/1/audit?key=&operation=createFace&page_size=1000", "")
	d.call(t, 200, "GET", "/1/audit", "/1/audit?from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&after=1", "")
	d.call(t, 400, "GET", "/1/audit", "/1/audit?after=x", "")
	callSnapshots(t, d)
	for _, path := range []string{"/version", "/healthcheck", "/livez", "/readyz", "/config", "/metrics", "/docs", "/docs/errors", "/docs/spec"} {
		d.call(t, 200, "GET", path, path, "")
	}
	for path, item := range d.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !d.seen[op.OperationID] {
				t.Errorf("%s %s was not called", method, path)
			}
		}
	}
}

// callSnapshots uses the tasks of serveDocumented, which make no snapshots.
func callSnapshots(t *testing.T, d *documented) {
	const byName = "/1/snapshots/{name}"
	d.makeSnapshot("before")
	d.call(t, 202, "POST", "/1/snapshots", "/1/snapshots", `{"name": "after"}`)
	d.call(t, 409, "POST", "/1/snapshots", "/1/snapshots", `{"name": "before"}`)
	d.call(t, 400, "POST", "/1/snapshots", "/1/snapshots", `{"name": "../x"}`)
	d.call(t, 200, "GET", "/1/snapshots", "/1/snapshots", "")
	d.call(t, 200, "GET", byName, "/1/snapshots/before", "")
	d.call(t, 404, "GET", byName, "/1/snapshots/none", "")
	d.call(t, 204, "DELETE", byName, "/1/snapshots/before", "")
	d.call(t, 404, "DELETE", byName, "/1/snapshots/before", "")
}

func callTasks(t *testing.T, d *documented) {
	const byID = "/1/tasks/{id}"
	id := d.startTask("snapshot", "before")
	d.waitTask(id, "done")
	d.call(t, 200, "GET", "/1/tasks", "/1/tasks", "")
	d.call(t, 200, "GET", byID, "/1/tasks/"+id, "")
	d.call(t, 404, "GET", byID, "/1/tasks/"+nobody, "")
	slow := d.startTask("erase", "")
	d.call(t, 202, "DELETE", byID, "/1/tasks/"+slow, "")
	d.waitTask(slow, "failed")
	d.call(t, 400, "DELETE", byID, "/1/tasks/"+id, "")
	d.call(t, 404, "DELETE", byID, "/1/tasks/"+nobody, "")
	callErasures(t, d)
}

func callErasures(t *testing.T, d *documented) {
	const erase, account = "/1/erase", "/1/accounts/{id}"
	byIDs := `{"origin": "events", "ids": ["` + nobody + `"], "filters": null, "snapshots": true}`
	d.call(t, 202, "POST", erase, erase, byIDs)
	d.call(t, 409, "POST", erase, erase, byIDs)
	d.call(t, 409, "DELETE", account, "/1/accounts/"+nobody, "")
	for _, body := range []string{`{"ids": []}`, `{"origin": "lists", "ids": ["` + nobody + `"]}`, `{"origin": "faces", "ids": []}`, `{"origin": "faces", "id": "x"}`, `{"origin": "faces", "ids": ["` + nobody + `"], "snapshots": 1}`} {
		d.call(t, 400, "POST", erase, erase, body)
	}
	d.endTask(t)
	d.call(t, 202, "DELETE", account, "/1/accounts/"+nobody+"?snapshots=1", "")
	d.call(t, 400, "DELETE", account, "/1/accounts/x", "")
	d.endTask(t)
}

// endTask cancels the running task and waits for its end.
func (d *documented) endTask(t *testing.T) {
	t.Helper()
	id := d.tasks.List()[0].ID
	d.call(t, 202, "DELETE", "/1/tasks/{id}", "/1/tasks/"+id, "")
	d.waitTask(id, "failed")
}

func callFaces(t *testing.T, d *documented, face, descriptor string) {
	const byID = "/1/faces/{face_id}"
	d.call(t, 201, "POST", "/1/faces", "/1/faces", face)
	d.call(t, 409, "POST", "/1/faces", "/1/faces", face)
	d.call(t, 400, "POST", "/1/faces", "/1/faces", `{"sex": 1, "descriptor": `+descriptor+`}`)
	d.call(t, 400, "POST", "/1/faces", "/1/faces", `{"external_id": "no descriptor"}`)
	d.call(t, 400, "POST", "/1/faces", "/1/faces", `{"age": 256, "descriptor": `+descriptor+`}`)
	d.call(t, 201, "POST", "/1/faces", "/1/faces", `{"age": null, "gender": 1, "descriptor": `+descriptor+`}`)
	d.call(t, 200, "PUT", byID, "/1/faces/"+knownFace, face)
	d.call(t, 201, "PUT", byID, "/1/faces/"+staff, `{"account_id": "`+staff+`", "descriptor": `+descriptor+`}`)
	d.call(t, 200, "PATCH", byID, "/1/faces/"+knownFace, `{"age": 34, "avatar": null, "face_id": "`+knownFace+`"}`)
	d.call(t, 400, "PATCH", byID, "/1/faces/"+knownFace, `{"descriptor": null}`)
	d.call(t, 400, "PATCH", byID, "/1/faces/"+knownFace, `{"create_time": null}`)
	d.call(t, 200, "GET", byID, "/1/faces/"+knownFace+"?descriptor=1", "")
	d.call(t, 200, "GET", byID, "/1/faces/"+staff, "")
	d.call(t, 404, "GET", byID, "/1/faces/"+nobody, "")
	d.call(t, 200, "GET", "/1/faces", "/1/faces?page_size=3&descriptor=1&gender=1", "")
	d.call(t, 400, "GET", "/1/faces", "/1/faces?page_size=1001", "")
	d.call(t, 200, "GET", "/1/faces", "/1/faces?after="+nobody+"&targets=age,gender&targets=avatar&order=id", "")
	d.call(t, 400, "GET", "/1/faces", "/1/faces?after="+nobody+"&page=1", "")
	const find, remove = "/1/faces/find", "/1/faces/delete"
	d.call(t, 200, "POST", find, find, `{}`)
	d.call(t, 200, "POST", find, find+"?descriptor=1", `{"filters": {"origin": "faces", "external_ids": ["a, b"], "gender": 1.0}, "page": 2, "page_size": 5, "targets": ["age"], "order": "create_time_desc"}`)
	d.call(t, 200, "POST", find, find, `{"filters": {"face_id__lt": "`+staff+`"}, "after": "`+nobody+`"}`)
	d.call(t, 200, "POST", find, find, `{"filters": null, "page": null, "page_size": null, "after": null, "targets": null, "order": null}`)
	for _, body := range []string{
		`[]`, `{"filters": {"origin": "events"}}`, `{"filters": {"tags": []}}`, `{"filters": {"gender": null}}`, `{"page": 0}`, `{"page_size": 1001}`,
		`{"after": "x"}`, `{"order": "similarity"}`, `{"targets": ["similarity"]}`, `{"targets": "age"}`, `{"limit": 1}`,
	} {
		d.call(t, 400, "POST", find, find, body)
	}
	d.call(t, 200, "POST", remove, remove, `{"filters": {"external_ids": ["a, b"]}}`)
	for _, body := range []string{`{}`, `{"filters": null}`, `{"filters": {"origin": "events", "gender": 1}}`, `{"filters": {"gender": 1}, "page": 1}`} {
		d.call(t, 400, "POST", remove, remove, body)
	}
}

func callEvents(t *testing.T, d *documented, descriptor string) {
	const byID, attribute = "/1/events/{event_id}", "/1/attributes/{attribute_id}"
	event := `{"event_id": "` + staff + `", "meta": {"shop": {"floor": 2}}, "top_match": {"similarity": 1}, "face_descriptor": ` + descriptor + `}`
	d.call(t, 201, "POST", "/1/events", "/1/events", event)
	d.call(t, 409, "POST", "/1/events", "/1/events", "["+event+"]")
	d.call(t, 201, "POST", "/1/events", "/1/events", `[{"tags": null, "location": {"city": null}, "body_descriptor": null, "face_descriptor": `+descriptor+`}]`)
	for _, body := range []string{
		`[]`, `{}`, `{"lists": [], "face_descriptor": ` + descriptor + `}`, `{"tags": [""], "face_descriptor": ` + descriptor + `}`,
		`{"location": {"geo_position": {"longitude": 1}}, "face_descriptor": ` + descriptor + `}`, `{"meta": 5, "face_descriptor": ` + descriptor + `}`,
	} {
		d.call(t, 400, "POST", "/1/events", "/1/events", body)
	}
	d.call(t, 200, "GET", byID, "/1/events/"+staff+"?descriptor=1", "")
	d.call(t, 404, "GET", byID, "/1/events/"+nobody, "")
	d.call(t, 200, "GET", "/1/events", "/1/events?descriptor=1&page_size=2&meta.shop.floor__gte=1.5", "")
	d.call(t, 400, "GET", "/1/events", "/1/events?lists="+staff, "")
	d.call(t, 200, "GET", "/1/export", "/1/export?origin=events&tags=a", "")
	d.call(t, 200, "POST", "/1/events/find", "/1/events/find", `{"filters": {"event_id__gte": "`+nobody+`", "meta.shop.floor__gte": 1.5}, "targets": ["meta"]}`)
	d.call(t, 400, "POST", "/1/events/find", "/1/events/find", `{"targets": ["lists"]}`)
	d.call(t, 200, "POST", "/1/events/delete", "/1/events/delete", `{"filters": {"origin": "events", "tags": ["a, b"]}}`)
	d.call(t, 400, "POST", "/1/events/delete", "/1/events/delete", `{"filters": []}`)
	d.call(t, 201, "PUT", attribute, "/1/attributes/"+staff+"?ttl=100", `{"age": null, "descriptor": `+descriptor+`}`)
	d.call(t, 200, "PUT", attribute, "/1/attributes/"+staff, `{"age": 3, "descriptor": `+descriptor+`}`)
	d.call(t, 400, "PUT", attribute, "/1/attributes/"+staff, `{"user_data": "x", "descriptor": `+descriptor+`}`)
	d.call(t, 200, "GET", attribute, "/1/attributes/"+staff+"?descriptor=1", "")
	d.call(t, 404, "GET", attribute, "/1/attributes/"+nobody, "")
	const attributes = "/1/attributes"
	d.call(t, 200, "GET", attributes, attributes+"?descriptor=1&page_size=2&attribute_ids="+staff+"&attribute_id__gte="+staff+"&age__lt=200", "")
	d.call(t, 400, "GET", attributes, attributes+"?tags=a", "")
	d.call(t, 200, "POST", attributes+"/find", attributes+"/find", `{"filters": {"attribute_id__lt": "`+nobody+`"}, "targets": ["age"]}`)
	d.call(t, 400, "POST", attributes+"/find", attributes+"/find", `{"targets": ["user_data"]}`)
	d.call(t, 200, "POST", attributes+"/delete", attributes+"/delete", `{"filters": {"origin": "attributes", "age__gte": 200}}`)
	d.call(t, 400, "POST", attributes+"/delete", attributes+"/delete", `{"filters": {"lists": []}}`)
	d.call(t, 200, "DELETE", attributes, attributes+"?age__gte=200", "")
	d.call(t, 400, "DELETE", attributes, attributes, "")
	storedBody := func(kind, filters string) string {
		return `{"references": [{"type": "` + kind + `", "id": "` + staff + `"}], "candidates": [{"filters": ` + filters + `}]}`
	}
	d.call(t, 201, "POST", "/1/matcher/faces", "/1/matcher/faces?explain=1", storedBody("attribute", `{"origin": "events", "meta.shop.floor__in": [2, 3], "tags": ["a"]}`))
	d.call(t, 201, "POST", "/1/matcher/faces", "/1/matcher/faces", storedBody("event", `{"origin": "events", "geo_position": {"origin_longitude": 0, "origin_latitude": 0, "longitude_delta": 1, "latitude_delta": 1}}`))
	d.call(t, 201, "POST", "/1/matcher/faces", "/1/matcher/faces", storedBody("event", `{"origin": "attributes", "attribute_ids": ["`+staff+`"]}`))
	d.call(t, 400, "POST", "/1/matcher/faces", "/1/matcher/faces", storedBody("event", `{"origin": "attributes", "tags": ["a"]}`))
	body := `{"type": "raw_descriptor", "data": {"version": 7, "data": "AQIDBA=="}}`
	d.call(t, 201, "POST", "/1/matcher/bodies", "/1/matcher/bodies", `{"references": [`+body+`], "candidates": [{"filters": {"origin": "events"}}]}`)
	d.call(t, 204, "DELETE", byID, "/1/events/"+staff, "")
	d.call(t, 404, "DELETE", byID, "/1/events/"+staff, "")
	d.call(t, 200, "DELETE", "/1/events", "/1/events?tags=a", "")
	d.call(t, 400, "DELETE", "/1/events", "/1/events", "")
	d.call(t, 204, "DELETE", attribute, "/1/attributes/"+staff, "")
}

func callLists(t *testing.T, d *documented) {
	const byID = "/1/lists/{list_id}"
	d.call(t, 201, "POST", "/1/lists", "/1/lists", `{"user_data": "staff", "account_id": null}`)
	d.call(t, 409, "POST", "/1/lists", "/1/lists", `{"list_id": "`+staff+`"}`)
	d.call(t, 400, "POST", "/1/lists", "/1/lists", `{"name": "staff"}`)
	d.call(t, 200, "GET", "/1/lists", "/1/lists", "")
	d.call(t, 200, "GET", "/1/lists", "/1/lists?after="+nobody, "")
	d.call(t, 400, "GET", "/1/lists", "/1/lists?order=id", "")
	d.call(t, 200, "GET", byID, "/1/lists/"+staff, "")
	d.call(t, 404, "GET", byID, "/1/lists/"+nobody, "")
	d.call(t, 200, "PATCH", byID, "/1/lists/"+staff, `{"user_data": null}`)
	d.call(t, 400, "PATCH", byID, "/1/lists/"+staff, `{"face_count": 1}`)
	link := `{"action": "detach", "list_id": "` + staff + `", "face_ids": ["` + knownFace + `"]}`
	d.call(t, 204, "PATCH", "/1/linker", "/1/linker", link)
	d.call(t, 400, "PATCH", "/1/linker", "/1/linker", strings.Replace(link, "detach", "move", 1))
	d.call(t, 400, "PATCH", "/1/linker", "/1/linker", `{"action": "attach", "list_id": "`+staff+`", "face_ids": []}`)
}

func callMatches(t *testing.T, d *documented, descriptor string) {
	const match = "/1/matcher/faces"
	matchBody := func(reference, candidates string) string {
		return `{"references": [` + reference + `], "candidates": [` + candidates + `]}`
	}
	stored, given := `{"type": "face", "id": "`+knownFace+`"}`, `{"type": "raw_descriptor", "data": `+descriptor+`}`
	all := `{"filters": {"origin": "faces"}, "label": [1]}`
	d.call(t, 201, "POST", match, match+"?explain=1", matchBody(stored+", "+given, all))
	d.call(t, 201, "POST", match, match, matchBody(`{"type": "face_external_id", "id": "person-01"}`, all))
	d.call(t, 201, "POST", match, match, matchBody(`{"type": "face_external_id", "id": "nobody"}`, all))
	d.call(t, 201, "POST", match, match, matchBody(stored,
		`{"filters": {"origin": "faces", "age__gte": 18, "create_time__lt": "now-1d", "lists": []}, "limit": 1,
		  "threshold": 0.5, "targets": ["lists", "distance"], "order": "create_time_desc"}`))
	for _, body := range []string{
		matchBody("", all), matchBody(stored, ""), matchBody(`{"type": "xpk_file", "id": "x"}`, all), matchBody(`{"type": "face", "id": "x"}`, all),
		matchBody(`{"type": "face_external_id", "id": ""}`, all), matchBody(`{"type": "raw_descriptor", "id": "x"}`, all),
		matchBody(stored, `{"filters": {}}`), matchBody(stored, `{"filters": {"origin": "faces", "age": 3}}`),
		matchBody(stored, `{"filters": {"origin": "faces"}, "limit": 0}`), matchBody(stored, `{"filters": {"origin": "faces"}, "threshold": 1.5}`),
		matchBody(stored, `{"filters": {"origin": "faces"}, "targets": ["descriptor"]}`), matchBody(stored, `{"filters": {"origin": "faces"}, "order": "id"}`),
		matchBody(stored, `{"filters": {"origin": "faces", "gender": [1]}}`), matchBody(stored, `{"filters": {"origin": "faces", "face_ids": "x"}}`),
	} {
		d.call(t, 400, "POST", match, match, body)
	}
	d.call(t, 201, "POST", "/1/matcher", "/1/matcher", matchBody(stored, all))
	d.call(t, 201, "POST", "/1/matcher/raw", "/1/matcher/raw?explain=1", matchBody(given, given))
	d.call(t, 400, "POST", "/1/matcher/raw", "/1/matcher/raw", matchBody(stored, given))
}

func callDeletes(t *testing.T, d *documented) {
	const byID, listByID = "/1/faces/{face_id}", "/1/lists/{list_id}"
	d.call(t, 204, "DELETE", byID, "/1/faces/"+knownFace, "")
	d.call(t, 404, "DELETE", byID, "/1/faces/"+knownFace, "")
	d.call(t, 400, "DELETE", "/1/faces", "/1/faces", "")
	d.call(t, 400, "DELETE", "/1/faces", "/1/faces?external_ids=person-01,person-02", "")
	d.call(t, 200, "DELETE", "/1/faces", "/1/faces?external_ids=person-01&external_ids=%5B%22person-02%22%5D", "")
	d.call(t, 204, "DELETE", listByID, "/1/lists/"+staff+"?with_faces=1", "")
}
