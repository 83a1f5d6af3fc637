package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// addObjects adds the routes of objects and lists. The server has three objects of each
// kind, whose ids end in 1, 2 and 3. It records each request in the file calls.
func (f *fakeServer) addObjects(mux *http.ServeMux) {
	handle := func(pattern string, answer func(w http.ResponseWriter, r *http.Request, body string)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			f.record("calls", strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
			answer(w, r, string(body))
		})
	}
	handle("GET /1/{kind}/{id}", fakeGet)
	handle("DELETE /1/{kind}/{id}", func(w http.ResponseWriter, r *http.Request, _ string) {
		if r.PathValue("id") == fakeID(404) {
			fakeNotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	put := func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.Contains(body, "bad"):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error_code": 12022, "desc": "Bad", "detail": "age: is bad", "link": ""}`)
			return
		case strings.Contains(body, "exists") && r.Method == http.MethodPost:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"error_code": 22001, "desc": "List exists", "detail": "list_id: exists already", "link": ""}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"%s_id": %q}`, fakeKind(r), fakeID(9))
	}
	handle("PUT /1/{kind}/{id}", put)
	handle("PATCH /1/lists/{id}", put)
	for _, kind := range []string{"faces", "lists"} {
		handle("POST /1/"+kind, put)
	}
	handle("PATCH /1/linker", func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusNoContent) })
	for _, kind := range []string{"faces", "events", "attributes"} {
		handle("POST /1/"+kind+"/delete", func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, `{"deleted": 7}`) })
		handle("POST /1/"+kind+"/find", fakeFind)
	}
	handle("GET /1/lists", func(w http.ResponseWriter, r *http.Request, _ string) {
		number := func(name string) int {
			n, _ := strconv.Atoi(r.FormValue(name)) // 0 if it is not given
			return n
		}
		fakePage(w, r, number("page"), number("page_size"), r.FormValue("after"))
	})
}

func fakeFind(w http.ResponseWriter, r *http.Request, body string) {
	var page struct {
		Page     int `json:"page"`
		PageSize int `json:"page_size"`
		After    string
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		panic(err)
	}
	fakePage(w, r, page.Page, page.PageSize, page.After)
}

func fakeID(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

// fakeKind returns the kind of the objects that a path names, such as "face".
func fakeKind(r *http.Request) string {
	return strings.TrimSuffix(strings.Split(r.URL.Path, "/")[2], "s")
}

func fakeNotFound(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"error_code": 22004, "desc": "Not found", "detail": "%s_id: does not exist", "link": ""}`, fakeKind(r))
}

func fakeGet(w http.ResponseWriter, r *http.Request, _ string) {
	if r.PathValue("id") == fakeID(404) {
		fakeNotFound(w, r)
		return
	}
	fmt.Fprintf(w, `{"%s_id": %q, "n": [1, 2]}`, fakeKind(r), r.PathValue("id"))
}

// fakePage answers with a page of the three objects.
func fakePage(w http.ResponseWriter, r *http.Request, page, size int, after string) {
	if size == 0 {
		size = 10
	}
	from := max(0, page-1) * size
	for from < 3 && after >= fakeID(from+1) {
		from++
	}
	objects := []map[string]any{}
	for n := from; n < min(from+size, 3); n++ {
		objects = append(objects, map[string]any{fakeKind(r) + "_id": fakeID(n + 1)})
	}
	answer := map[string]any{fakeKind(r) + "s": objects}
	if after == "" {
		answer["count"] = 3
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}
