// Package nearside_test holds the import rule of the repository as a test:
// imports go downwards only, and each third-party package is imported by one
// package of ours, which hides it.
//
// It reads the sources itself instead of asking `go list`, so that it sees the
// files of every build tag at once, and so that the test cache knows which files
// the result depends on.
package nearside_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "nearside"

// layers lists our packages from low to high. A package may import those of
// lower layers, never its neighbours.
var layers = [][]string{
	{"simd", "plugins", "lua/vm/syntax", "internal/precise", "internal/testkit", "internal/testkit/gotest", "internal/units", "lua/luatest"}, // import nothing of ours
	{"internal/certs", "internal/coding", "internal/exp", "internal/needle"},
	{"matcher"},
	{"matcher/wire", "matcher/idindex", "internal/access", "internal/oracle", "internal/task"},
	{"matcher/store"},
	{"internal/audit", "internal/snapshot", "matcher/memory/internal/memorytest"}, // the last is only for tests
	{"matcher/memory/table"},
	{"matcher/memory/filter"},
	{"matcher/memory/scan"},
	{"matcher/memory/segment"},
	{"matcher/memory"},
	{"internal/erase"},
	{"lua/ns/peer"}, // it and the clients do not know Lua
	{"lua/ns/amqp", "lua/ns/http", "lua/ns/redis"},
	{"lua/vm"},
	{"lua/goval"},
	{"lua/ns"},
	{"lua", "lua/vm/lua51"},
	{"matcher/route", "matcher/remote"},
	{"lua/trial"},
	{"internal/config", "internal/telemetry", "internal/vectors"},
	{"internal/server"},
	{"bench/chart", "bench/gate", "bench/load", "bench/process", "bench/stat", "bench/synth"},
	{"bench", "bench/demo", "bench/overload", "bench/siege", "cmd/nearside"},
}

// testPackages are imported only by tests and by each other.
var testPackages = []string{"internal/oracle", "internal/precise", "internal/testkit", "matcher/memory/internal/memorytest"}

// owners says which package of ours may import a third-party package and the packages
// below it. Its tests may, too.
var owners = map[string]string{
	"github.com/HdrHistogram/hdrhistogram-go":  "bench/load",
	"github.com/RoaringBitmap/roaring/v2":      "matcher/memory/table",
	"github.com/alecthomas/kong":               "cmd/nearside",
	"github.com/bytedance/sonic":               "matcher/wire",
	"github.com/cloudwego/base64x":             "matcher/wire",
	"github.com/cloudwego/hertz":               "internal/server",
	"github.com/cockroachdb/pebble/v2":         "matcher/store",
	"github.com/golang-jwt/jwt/v5":             "internal/access",
	"github.com/google/uuid":                   "matcher",
	"github.com/klauspost/compress":            "internal/coding",
	"github.com/klauspost/cpuid/v2":            "simd",
	"github.com/knadh/koanf":                   "internal/config",
	"github.com/lmittmann/tint":                "cmd/nearside",
	"github.com/panjf2000/ants/v2":             "matcher/memory/scan",
	"github.com/parquet-go/parquet-go":         "internal/vectors",
	"github.com/prometheus/client_golang":      "internal/telemetry",
	"github.com/rabbitmq/amqp091-go":           "lua/ns/amqp",
	"github.com/redis/go-redis/v9":             "lua/ns/redis",
	"github.com/santhosh-tekuri/jsonschema/v6": "lua",
	"github.com/schollz/progressbar/v3":        "cmd/nearside",
	"github.com/sony/gobreaker/v2":             "matcher/remote",
	"github.com/tinylib/msgp":                  "matcher/wire",
	"github.com/viterin/vek":                   "simd",
	"github.com/yuin/gopher-lua":               "lua/vm",
	"go.yaml.in/yaml/v3":                       "internal/config",
	"golang.org/x/sync/semaphore":              "internal/server",
	"github.com/alicebob/miniredis/v2":         testsOnly,
	"github.com/getkin/kin-openapi":            testsOnly,
	"github.com/google/go-cmp":                 testsOnly,
	"github.com/rogpeppe/go-internal":          testsOnly,
	"go.uber.org/goleak":                       testsOnly,
	"pgregory.net/rapid":                       testsOnly,
	"golang.org/x/sys/unix":                    anyone, // the system's own interface
}

// testClients are the third-party packages with which the tests below lua talk
// to real servers.
var testClients = []string{"github.com/rabbitmq/amqp091-go", "github.com/redis/go-redis/v9"}

const (
	testsOnly = "tests" // of any package
	anyone    = "anyone"
)

// source is one Go file of the repository.
type source struct {
	dir  string // package, relative to the root: "." or "matcher/wire"
	name string
	test bool
	ast  *ast.File
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "." {
			continue // this test
		}
		if layer(s.dir) < 0 {
			t.Errorf("%s: package %s has no place in layers", s.name, s.dir)
			continue
		}
		for _, spec := range s.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if err := allowed(s.dir, imported, s.test); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		}
	}
}

// TestImportRule tests the rule with allowed and forbidden imports.
func TestImportRule(t *testing.T) {
	check := func(dir, imported string, test, want bool) {
		t.Helper()
		if err := allowed(dir, imported, test); (err == nil) != want {
			t.Errorf("%s imports %s: %v", dir, imported, err)
		}
	}
	check("matcher", "fmt", false, true)
	check("matcher", "nearside/simd", false, true)
	check("simd", "nearside/matcher", false, false)
	check("simd", "nearside/matcher", true, false)
	check("matcher/store", "nearside/matcher/memory", false, false)
	check("matcher/route", "nearside/matcher/remote", false, false)   // neighbours
	check("cmd/nearside", "nearside/internal/new", false, false)      // unknown
	check("internal/server", "nearside/internal/config", false, true) // a lower layer
	check("internal/server", "nearside/internal/oracle", true, true)
	check("internal/server", "nearside/internal/oracle", false, false)  // tests only
	check("internal/oracle", "nearside/internal/testkit", false, true)  // test code, too
	check("internal/testkit", "nearside/internal/oracle", false, false) // upwards
	check("matcher", "github.com/google/uuid", false, true)
	check("matcher/wire", "github.com/google/uuid", true, false)
	check("matcher/store", "github.com/cockroachdb/pebble/v2/vfs", false, true)
	check("matcher/store", "github.com/cockroachdb/pebble", false, false) // the old major version
	check("matcher", "github.com/google/go-cmp/cmp", true, true)
	check("matcher", "github.com/google/go-cmp/cmp", false, false)
	check("simd", "golang.org/x/sys/unix", true, true)
	check("simd", "golang.org/x/sys/cpu", false, false)
	check("simd", "C", false, false)
	check("matcher", "unknown.example/x", true, false)
	check("lua/ns/redis", "nearside/lua/vm", false, false)
	check("lua", "github.com/redis/go-redis/v9", true, true)
	check("lua", "github.com/redis/go-redis/v9", false, false)
	check("matcher", "github.com/redis/go-redis/v9", true, false)
}

// TestRequirements checks that every direct requirement in go.mod has an owner. A
// requirement without an owner is not needed.
func TestRequirements(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	known := func(required string) bool {
		for pkg := range owners {
			if within(pkg, required) || within(required, pkg) {
				return true
			}
		}
		return false
	}
	lines := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllSubmatch(mod, -1) // a direct requirement has no comment after it
	if len(lines) == 0 {
		t.Fatal("go.mod: no direct requirement found")
	}
	for _, m := range lines {
		if required := string(m[1]); !known(required) {
			t.Errorf("go.mod: %s has no owner", required)
		}
	}
}

// TestImageHasSources checks that .dockerignore includes every package of the binary in
// the container's build.
func TestImageHasSources(t *testing.T) {
	text, err := os.ReadFile(".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var included []string
	for line := range strings.Lines(string(text)) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			included = append(included, dir)
		}
	}
	imports := map[string][]string{} // of our packages, by package
	for _, s := range sources(t) {
		for _, spec := range s.ast.Imports {
			if own, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/"); ok && !s.test {
				imports[s.dir] = append(imports[s.dir], own)
			}
		}
	}
	needed := []string{"cmd/nearside"}
	for i := 0; i < len(needed); i++ {
		for _, own := range imports[needed[i]] {
			if !slices.Contains(needed, own) {
				needed = append(needed, own)
			}
		}
	}
	if len(needed) < 20 {
		t.Errorf("only %d packages of the binary were found", len(needed))
	}
	for _, dir := range needed {
		if !slices.ContainsFunc(included, func(prefix string) bool { return within(dir, prefix) }) {
			t.Errorf(".dockerignore: package %s is not included in the image's build", dir)
		}
	}
}

// allowed returns an error if a file of package dir may not import a package.
func allowed(dir, imported string, test bool) error {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		switch from, to := layer(dir), layer(own); {
		case to < 0:
			return fmt.Errorf("%s has no place in layers", own)
		case dir == own && test: // an external test of its own package
			return nil
		case to >= from:
			return fmt.Errorf("%s is in a higher layer than %s, or in the same layer, and must not be imported there", own, dir)
		case slices.Contains(testPackages, own) && !test && !slices.Contains(testPackages, dir):
			return fmt.Errorf("%s imports %s, which is for tests", dir, own)
		}
		return nil
	}
	if imported == "C" {
		return fmt.Errorf("%s uses cgo; the binary is built without", dir)
	}
	if !strings.Contains(firstElement(imported), ".") {
		return nil // standard library
	}
	for _, pkg := range slices.Sorted(maps.Keys(owners)) {
		if !within(imported, pkg) {
			continue
		}
		if owner := owners[pkg]; owner == anyone || owner == dir || owner == testsOnly && test {
			return nil
		}
		if test && within(dir, "lua") && slices.Contains(testClients, pkg) {
			return nil
		}
		return fmt.Errorf("%s imports %s, which is for %s", dir, imported, owners[pkg])
	}
	return fmt.Errorf("%s imports %s, which has no owner", dir, imported)
}

func layer(dir string) int {
	return slices.IndexFunc(layers, func(packages []string) bool { return slices.Contains(packages, dir) })
}

// within reports whether p is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func firstElement(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

// sources reads every Go file of the module, with any build tags.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || name == "data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(filepath.Dir(name)), name, strings.HasSuffix(base, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatal("no sources found")
	}
	return all
}
