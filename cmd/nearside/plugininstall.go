package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nearside/lua"
)

type pluginInstallCmd struct {
	Source  string `arg:"" help:"NAME.lua, a folder with init.lua, or a URL of NAME.lua." placeholder:"FILE|URL|DIR"`
	SHA256  string `name:"sha256" help:"Digest that the plugin must have; required for a URL." placeholder:"HEX"`
	Replace bool   `help:"Replace an installed plugin of the same name."`
	Yes     bool   `help:"Do not ask."`
	pluginFlags
}

// Help is printed below the flags.
func (*pluginInstallCmd) Help() string {
	return `Example:

    nearside plugin install https://example.org/alerts.lua --sha256 9f86d081...

It checks the plugin as "plugin check" does, shows its permissions and its digest, asks, and copies it into the folder of plugins. It does not activate the plugin. The digest of a file is its SHA-256. That of a folder is the SHA-256 of one line "HEX  PATH" for each file, as sha256sum writes it, sorted by path.`
}

// Run installs a plugin.
func (c *pluginInstallCmd) Run(s *system) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	if digest, err := hex.DecodeString(c.SHA256); err != nil || c.SHA256 != "" && len(digest) != sha256.Size {
		return usagef("--sha256: must be 64 hexadecimal digits, got %q", c.SHA256)
	}
	p, err := readPackage(s.ctx, c.Source)
	if err != nil {
		return err
	}
	digest := p.digest()
	switch {
	case c.SHA256 == "" && p.remote:
		return usagef("--sha256 is required for a URL; what the server sent now has the digest %s", digest)
	case c.SHA256 != "" && subtle.ConstantTimeCompare([]byte(strings.ToLower(c.SHA256)), []byte(digest)) == 0:
		return fmt.Errorf("%s has the digest %s, not the one of --sha256", c.Source, digest)
	}
	targets := []string{filepath.Join(o.Dir, p.name), filepath.Join(o.Dir, p.name+".lua")}
	if err := c.checkTargets(targets); err != nil {
		return err
	}
	// The copy is made in the folder of plugins, so that it can be renamed. No plugin has a
	// name that begins with a dot.
	created, err := makeFolder(o.Dir)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp(o.Dir, ".install-")
	if err != nil {
		return errors.Join(err, removePaths(created))
	}
	done, err := c.install(s, o, p, stage, targets)
	err = errors.Join(err, os.RemoveAll(stage))
	if !done {
		err = errors.Join(err, removePaths(created))
	}
	return err
}

// checkTargets returns an error if the plugin is installed already and must not be replaced.
func (c *pluginInstallCmd) checkTargets(targets []string) error {
	for _, path := range targets {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !c.Replace {
			return fmt.Errorf("%s already exists; --replace replaces it", path)
		}
	}
	return nil
}

// install checks the plugin in the folder stage, asks, and moves it to its place. done is
// false if nothing was installed.
func (c *pluginInstallCmd) install(s *system, o lua.Options, p *pluginPackage, stage string, targets []string) (done bool, err error) {
	if err := p.write(stage); err != nil {
		return false, err
	}
	staged := o
	staged.Dir, staged.Shipped = stage, nil
	all, err := lua.List(s.ctx, staged)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(l lua.Listing) bool { return l.Name == p.name })
	if i < 0 {
		return false, fmt.Errorf("%s is not a plugin: it needs the name of a plugin, and a folder needs init.lua", c.Source)
	}
	if fault := all[i].Fault; fault != "" {
		return false, errors.New(strings.ReplaceAll(fault, stage+string(filepath.Separator), ""))
	}
	if err := showPackage(s, p, &all[i]); err != nil {
		return false, err
	}
	if !c.Yes {
		if agreed, err := askUser(s, fmt.Sprintf("install into %s? [y/N] ", o.Dir)); err != nil || !agreed {
			return false, errors.Join(err, errors.New("not installed"))
		}
	}
	for _, path := range targets { // with --replace
		if err := os.RemoveAll(path); err != nil {
			return false, err
		}
	}
	name := p.name
	if !p.folder {
		name += ".lua"
	}
	if err := os.Rename(filepath.Join(stage, name), filepath.Join(o.Dir, name)); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(s.stdout, "installed %s\nnext: add %q to plugins.active\n", filepath.Join(o.Dir, name), p.name)
	return true, err
}

// showPackage prints what a plugin is and what it may do.
func showPackage(s *system, p *pluginPackage, l *lua.Listing) error {
	kinds := make([]string, len(l.Kinds))
	for i, kind := range l.Kinds {
		kinds[i] = string(kind)
	}
	_, err := fmt.Fprintf(s.stdout, "plugin       %s %s\nkinds        %s\nfiles        %s\nsha256       %s\n",
		p.name, l.Version, strings.Join(kinds, ", "), strings.Join(slices.Sorted(maps.Keys(p.files)), ", "), p.digest())
	if err != nil {
		return err
	}
	if len(l.Permissions) == 0 {
		_, err = fmt.Fprintln(s.stdout, "permissions  none")
	}
	for _, permission := range l.Permissions {
		if _, err = fmt.Fprintf(s.stdout, "permission   %s\n", permission); err != nil {
			return err
		}
	}
	return err
}

// askUser prints a question and reports whether the answer is yes.
func askUser(s *system, question string) (bool, error) {
	if _, err := fmt.Fprint(s.stdout, question); err != nil {
		return false, err
	}
	lines := bufio.NewScanner(untilInterrupted(s.ctx, s.stdin))
	lines.Scan()
	if _, err := fmt.Fprintln(s.stdout); err != nil {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(lines.Text()))
	return answer == "y" || answer == "yes", lines.Err()
}
