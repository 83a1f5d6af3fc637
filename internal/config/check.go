package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"nearside/matcher"
)

// metaFieldsMax bounds what every event needs in memory.
const metaFieldsMax = 16

// check returns the faults of values that only show beside each other.
func (c *Config) check() faults {
	var bad faults
	if !c.Insecure && !isLoopback(c.Listen) {
		bad = append(bad, fault{"listen", quote(c.Listen) +
			" can be reached from other machines and there are no keys; set insecure: true if that is wanted"})
	}
	if _, err := matcher.NewRegistry(c.Descriptors.Versions); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			path, text, _ := strings.Cut(line, ": ")
			bad = append(bad, fault{path, text})
		}
	}
	bad = append(bad, c.checkRemotes()...)
	paths := map[string]bool{}
	for i, f := range c.Events.MetaFields {
		if paths[f.Path] {
			bad = append(bad, fault{fmt.Sprintf("events.meta_fields[%d].path", i), fmt.Sprintf("%q is there twice", f.Path)})
		}
		paths[f.Path] = true
		if slices.Contains(strings.Split(f.Path, "."), "") {
			bad = append(bad, fault{fmt.Sprintf("events.meta_fields[%d].path", i), fmt.Sprintf("%q has an empty name", f.Path)})
		}
	}
	if most := metaFieldsMax; len(c.Events.MetaFields) > most {
		bad = append(bad, fault{"events.meta_fields", fmt.Sprintf("%d are more than %d", len(c.Events.MetaFields), most)})
	}
	return bad
}

// checkRemotes returns the faults of remotes beside each other.
func (c *Config) checkRemotes() faults {
	var bad faults
	seen := map[string]bool{"memory": true} // the name of the local matcher
	for i, r := range c.Matchers.Remote {
		path := fmt.Sprintf("matchers.remote[%d].", i)
		if seen[r.Name] {
			bad = append(bad, fault{path + "name", quote(r.Name) + " is the name of another matcher"})
		}
		seen[r.Name] = true
		bad = append(bad, twice(path+"origins", r.Origins)...)
		bad = append(bad, twice(path+"lists", r.Lists)...)
	}
	return bad
}

// twice returns a fault for each value that stands in a list before.
func twice[T interface {
	comparable
	fmt.Stringer
}](path string, all []T) faults {
	var bad faults
	seen := map[T]bool{}
	for i, v := range all {
		if seen[v] {
			bad = append(bad, fault{fmt.Sprintf("%s[%d]", path, i), quote(v.String()) + " is there twice"})
		}
		seen[v] = true
	}
	return bad
}

// isLoopback reports whether only this machine reaches listen. A name other
// than localhost may stand for any address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// checkVersion returns the faults of v by itself.
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

// dropTwins removes plugins that are named twice, with a warning for each.
func (c *Config) dropTwins() (warnings []string) {
	var once []string
	for _, name := range c.Plugins.Active {
		if slices.Contains(once, name) {
			warnings = append(warnings, fmt.Sprintf("plugins.active: %q is named twice and activated once", name))
			continue
		}
		once = append(once, name)
	}
	c.Plugins.Active = once
	return warnings
}
