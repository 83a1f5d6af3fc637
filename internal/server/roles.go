package server

import (
	"net/http"

	"nearside/internal/access"
)

// roles has the role that each operation needs. HEAD needs the role of GET. An operation
// that is missing here, or that only browsers use, is in openOperations.
var roles = map[string]access.Role{
	"POST /1/matcher/faces":       access.Match,
	"POST /1/matcher/bodies":      access.Match,
	"POST /1/matcher":             access.Match,
	"POST /1/matcher/raw":         access.Match,
	"POST /1/crossmatcher/faces":  access.Match,
	"POST /1/crossmatcher/bodies": access.Match,
	"GET /healthcheck":            access.Match,
	"GET /livez":                  access.Match,
	"GET /readyz":                 access.Match,
	"GET /version":                access.Match,
	"GET /1/faces":                access.Read,
	"GET /1/faces/:id":            access.Read,
	"POST /1/faces/find":          access.Read,
	"GET /1/events":               access.Read,
	"GET /1/events/:id":           access.Read,
	"POST /1/events/find":         access.Read,
	"GET /1/attributes":           access.Read,
	"GET /1/attributes/:id":       access.Read,
	"POST /1/attributes/find":     access.Read,
	"GET /1/lists":                access.Read,
	"GET /1/lists/:id":            access.Read,
	"GET /1/export":               access.Read,
	"GET /metrics":                access.Read,
	"POST /1/faces":               access.Write,
	"PUT /1/faces/:id":            access.Write,
	"PATCH /1/faces/:id":          access.Write,
	"DELETE /1/faces/:id":         access.Write,
	"DELETE /1/faces":             access.Write,
	"POST /1/faces/delete":        access.Write,
	"POST /1/events":              access.Write,
	"DELETE /1/events/:id":        access.Write,
	"DELETE /1/events":            access.Write,
	"POST /1/events/delete":       access.Write,
	"PUT /1/attributes/:id":       access.Write,
	"DELETE /1/attributes/:id":    access.Write,
	"DELETE /1/attributes":        access.Write,
	"POST /1/attributes/delete":   access.Write,
	"POST /1/lists":               access.Write,
	"PATCH /1/lists/:id":          access.Write,
	"DELETE /1/lists/:id":         access.Write,
	"PATCH /1/linker":             access.Write,
	"POST /1/import":              access.Write,
	"GET /config":                 access.Admin,
	"GET /1/plugins":              access.Admin,
	"POST /1/plugins/reload":      access.Admin,
	"GET /1/audit":                access.Admin,
	"POST /1/snapshots":           access.Admin,
	"GET /1/snapshots":            access.Admin,
	"GET /1/snapshots/:id":        access.Admin,
	"DELETE /1/snapshots/:id":     access.Admin,
	"GET /1/tasks":                access.Admin,
	"GET /1/tasks/:id":            access.Admin,
	"DELETE /1/tasks/:id":         access.Admin,
	"POST /1/erase":               access.Admin,
	"DELETE /1/accounts/:id":      access.Admin,
	"GET " + pluginRoutes:         access.NoRole, // allowRoute checks the role of the plugin's route
	"HEAD " + pluginRoutes:        access.NoRole,
	"POST " + pluginRoutes:        access.NoRole,
	"PUT " + pluginRoutes:         access.NoRole,
	"PATCH " + pluginRoutes:       access.NoRole,
	"DELETE " + pluginRoutes:      access.NoRole,
	"OPTIONS " + pluginRoutes:     access.NoRole,
}

// pluginRoutes is the path of the routes of plugins.
const pluginRoutes = "/plugins/*path"

// alwaysOpen is the name of operations that never need a key: static pages, which say
// nothing about this server.
const alwaysOpen = "always"

// openOperations has the operations that need no key if access.open has their name.
var openOperations = map[string]string{
	"GET /":            alwaysOpen,
	"GET /favicon.ico": alwaysOpen,
	"GET /docs":        alwaysOpen,
	"GET /docs/":       alwaysOpen,
	"GET /docs/errors": alwaysOpen,
	"GET /docs/spec":   alwaysOpen,
	"GET /livez":       "livez",
	"GET /readyz":      "readyz",
	"GET /version":     "version",
	"GET /metrics":     "metrics",
	"GET /healthcheck": "healthcheck",
}

// accessOf returns the role that an operation needs, and the name under which it is open.
// Without an entry in the tables, it needs the highest role.
func accessOf(method, path string) (role access.Role, open string) {
	role, known := roles[method+" "+path]
	open = openOperations[method+" "+path]
	switch {
	case known || open == alwaysOpen:
		return role, open
	case method == http.MethodHead:
		return accessOf(http.MethodGet, path)
	}
	return access.Admin, open
}
