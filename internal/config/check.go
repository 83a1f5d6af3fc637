package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"nearside/matcher"
)

// metaFieldsMax is the largest number of events.meta_fields. Each of them needs memory
// for each event.
const metaFieldsMax = 16

// check returns the faults that depend on several values.
func (c *Config) check() faults {
	var bad faults
	if !c.Insecure && !c.Access.Required() && !isLoopback(c.Listen) {
		bad = append(bad, fault{"listen", "must be a loopback address, because the server has no keys, got " + quote(c.Listen) +
			"; configure access.keys or access.jwt, or set insecure: true to let other machines reach the server without a key"})
	}
	bad = append(bad, c.Access.check()...)
	if _, err := matcher.NewRegistry(c.Descriptors.Versions); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			path, text, _ := strings.Cut(line, ": ")
			bad = append(bad, fault{path, text})
		}
	}
	bad = append(bad, c.checkTLS()...)
	if c.Audit.File != "" && c.Audit.KeyFile == "" {
		bad = append(bad, fault{"audit.key_file", "must be the path of a file with a secret, because audit.file is configured, got an empty text"})
	}
	bad = append(bad, c.checkRemotes()...)
	bad = append(bad, c.checkSnapshots()...)
	bad = append(bad, c.checkRetention()...)
	paths := map[string]bool{}
	for i, f := range c.Events.MetaFields {
		if paths[f.Path] {
			bad = append(bad, fault{fmt.Sprintf("events.meta_fields[%d].path", i), fmt.Sprintf("%q is given twice", f.Path)})
		}
		paths[f.Path] = true
		if slices.Contains(strings.Split(f.Path, "."), "") {
			bad = append(bad, fault{fmt.Sprintf("events.meta_fields[%d].path", i), fmt.Sprintf("must not have an empty name, got %q", f.Path)})
		}
	}
	if n := len(c.Events.MetaFields); n > metaFieldsMax {
		bad = append(bad, fault{"events.meta_fields", fmt.Sprintf("must have at most %d items, got %d", metaFieldsMax, n)})
	}
	if l := &c.Limits; l.ProcessMemory > 0 && l.Memory > l.ProcessMemory {
		bad = append(bad, fault{"limits.memory", fmt.Sprintf("must be at most limits.process_memory, %d, got %d", l.ProcessMemory, l.Memory)})
	}
	return bad
}

// checkRemotes returns a fault for each repeated name of a matcher, and for each
// repeated origin and list of a remote.
func (c *Config) checkRemotes() faults {
	var bad faults
	seen := map[string]bool{"memory": true} // the name of the local matcher
	for i, r := range c.Matchers.Remote {
		path := fmt.Sprintf("matchers.remote[%d].", i)
		if seen[r.Name] {
			bad = append(bad, fault{path + "name", quote(r.Name) + " is already the name of another matcher"})
		}
		seen[r.Name] = true
		bad = append(bad, r.checkTLS(path)...)
		bad = append(bad, duplicates(path+"origins", r.Origins)...)
		bad = append(bad, duplicates(path+"lists", r.Lists)...)
	}
	return bad
}

// duplicates returns a fault for each value that occurs earlier in the list.
func duplicates[T interface {
	comparable
	fmt.Stringer
}](path string, all []T) faults {
	var bad faults
	seen := map[T]bool{}
	for i, v := range all {
		if seen[v] {
			bad = append(bad, fault{fmt.Sprintf("%s[%d]", path, i), quote(v.String()) + " is given twice"})
		}
		seen[v] = true
	}
	return bad
}

// isLoopback reports whether only this machine can reach the address listen. A host
// name other than localhost is not accepted, because it may resolve to any address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// checkVersion returns the faults of one descriptor version.
func checkVersion(v matcher.Version) error {
	_, err := matcher.NewRegistry([]matcher.Version{v})
	if err == nil {
		return nil
	}
	var bad faults
	for line := range strings.SplitSeq(err.Error(), "\n") {
		path, text, _ := strings.Cut(strings.TrimPrefix(line, "descriptors.versions[0]."), ": ")
		bad = append(bad, fault{"." + path, text})
	}
	return bad
}

// dropDuplicatePlugins removes repeated names of active plugins and returns a
// warning for each.
func (c *Config) dropDuplicatePlugins() (warnings []string) {
	var unique []string
	for _, name := range c.Plugins.Active {
		if slices.Contains(unique, name) {
			warnings = append(warnings, fmt.Sprintf("plugins.active: %q is listed twice; it is activated once", name))
			continue
		}
		unique = append(unique, name)
	}
	c.Plugins.Active = unique
	return warnings
}
