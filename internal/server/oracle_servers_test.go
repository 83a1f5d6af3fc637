package server_test

import (
	"testing"
	"time"

	"nearside/internal/oracle"
	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/remote"
)

// openServers starts the servers of the world's topology.
func openServers(t *testing.T, w *oracle.World) []*service {
	common := func(s *settings) {
		s.versions, s.now = oracle.Versions(), func() time.Time { return w.Now }
		s.limits.FilterValues, s.cross = w.Limits.FilterValues, w.Limits.CrossObjects
	}
	var other *service
	if w.Topology.Remote {
		other = start(t, common, func(s *settings) { s.limits.References = 1000 })
	}
	first := start(t, common, func(s *settings) {
		s.limits.References = w.Limits.References
		if w.Topology.Name == "plugins" {
			s.plugins = oraclePlugins
		}
		if other != nil {
			c := oracleRemote(w)
			c.URL, c.Timeout, c.MaxInflight = "http://"+other.address, time.Minute, 16
			s.remotes = []remote.Config{c}
		}
	})
	if other == nil {
		return []*service{first}
	}
	return []*service{first, other}
}

// oracleRemote returns the configuration of the second server as a remote of the first
// server.
func oracleRemote(w *oracle.World) remote.Config {
	if w.Topology.Copies {
		return remote.Config{Name: oracle.ReplicaName, Cost: 1}
	}
	c := remote.Config{Name: oracle.OwnerName, Cost: 100}
	switch w.Topology.Name {
	case "owner of events":
		c.Origins = []matcher.Origin{matcher.Events}
	case "owner of lists":
		for _, id := range w.ListIDs(1) {
			c.Lists = append(c.Lists, testkit.Must(matcher.ParseID(id)))
		}
	}
	return c
}

// patient is the beginning of the source of a plugin. It defines long limits for hooks,
// because the machine may be busy.
const patient = "local slow = {cost = 60, prefilter = 60, slice = 1}\n"

// oraclePlugins are the sources of the plugins of the topology "plugins", by
// name. The oracle has a model of each.
var oraclePlugins = map[string]string{
	"adults": patient + `return {api = 1, name = "adults", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", order = 10, origins = {"faces", "events"}},
		prefilter = function(self, req, set) return set:where("age", ">=", 18) end}`,
	"unmasked": patient + `return {api = 1, name = "unmasked", kinds = {"matching"}, limits = slow, matching = {on_error = "fail", order = 20, origins = {"events"}},
		prefilter = function(self, req, set) return set - set:one_of("mask", {2, 3}) end}`,
	"thin": patient + `return {api = 1, name = "thin", kinds = {"matching"}, limits = slow, matching = {origins = {"faces"}, orders = {"similarity"}},
		cost = function(self, req) if req.filters.list_id then return 10 end end,
		match = function(self, req, set) if req.limit == 2 then return nil end return set:scan(req.limit) end}`,
	"table": patient + `return {api = 1, name = "table", kinds = {"matching"}, limits = slow, matching = {origins = {"events", "attributes"}},
		cost = function(self, req) if req.limit % 2 == 0 then return 20 end end,
		match = function(self, req, set)
			local rows = {}
			for i, row in ipairs(set:to_table(10000)) do rows[i] = {id = row[req.origin == "events" and "event_id" or "attribute_id"]} end
			return rows
		end}`,
}
