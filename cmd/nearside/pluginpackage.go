package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits of a plugin that is installed.
const (
	packageFiles = 1000
	packageBytes = 16 << 20
	packageTime  = 60 * time.Second // for a download
)

// A pluginPackage is a plugin that is not installed yet.
type pluginPackage struct {
	name   string
	folder bool              // the plugin is a folder
	remote bool              // it was downloaded
	files  map[string][]byte // by path, with slashes, relative to the folder of plugins
}

// readPackage reads a file, a folder or a URL.
func readPackage(ctx context.Context, source string) (*pluginPackage, error) {
	if strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://") {
		return downloadPackage(ctx, source)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return readFolder(source)
	}
	name, isLua := strings.CutSuffix(filepath.Base(source), ".lua")
	if !isLua || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is neither a file NAME.lua nor a folder", source)
	}
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return &pluginPackage{name: name, files: map[string][]byte{name + ".lua": text}}, nil
}

// readBounded reads a file of a plugin.
func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, packageBytes+1))
	if err == nil && len(text) > packageBytes {
		err = fmt.Errorf("is larger than %d bytes", packageBytes)
	}
	return text, err
}

// readFolder reads a plugin that is a folder.
func readFolder(dir string) (*pluginPackage, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	p := &pluginPackage{name: filepath.Base(absolute), folder: true, files: map[string][]byte{}}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was only read
	total := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file; a plugin that is installed must not have links", filepath.Join(dir, name))
		}
		text, err := fs.ReadFile(root.FS(), name)
		if total += len(text); err == nil && (total > packageBytes || len(p.files) >= packageFiles) {
			err = fmt.Errorf("%s has more than %d files or more than %d bytes", dir, packageFiles, packageBytes)
		}
		p.files[path.Join(p.name, name)] = text
		return err
	})
	return p, err
}

// downloadPackage reads a file of a server.
func downloadPackage(ctx context.Context, source string) (*pluginPackage, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, err
	}
	name, isLua := strings.CutSuffix(path.Base(u.Path), ".lua")
	if !isLua {
		return nil, usagef("%s: the path of the URL must end with NAME.lua", source)
	}
	ctx, cancel := context.WithTimeout(ctx, packageTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the server answered %s", source, response.Status)
	}
	text, err := readBounded(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return &pluginPackage{name: name, remote: true, files: map[string][]byte{name + ".lua": text}}, nil
}

// digest returns the SHA-256 of a file, or of the list of the files of a folder, whose paths
// are relative to the folder.
func (p *pluginPackage) digest() string {
	digestOf := func(text []byte) string {
		sum := sha256.Sum256(text)
		return hex.EncodeToString(sum[:])
	}
	if !p.folder {
		return digestOf(p.files[p.name+".lua"])
	}
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		fmt.Fprintf(&list, "%s  %s\n", digestOf(p.files[name]), strings.TrimPrefix(name, p.name+"/"))
	}
	return digestOf([]byte(list.String()))
}

// write writes the files into the folder dir.
func (p *pluginPackage) write(dir string) error {
	for name, text := range p.files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := makeFolder(filepath.Dir(file)); err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // sources that others may read
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
