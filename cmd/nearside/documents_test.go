package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nearside/internal/config"

	"github.com/alecthomas/kong"
)

// repository is the path of the repository's root.
const repository = "../.."

// sources returns the texts of the repository's files with a suffix, by path.
func sources(t *testing.T, suffix string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != repository {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, suffix) {
			text, err := os.ReadFile(path)
			texts[strings.TrimPrefix(path, repository+"/")] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// shellFences are the languages of code blocks that contain commands.
var shellFences = []string{"", "sh", "dockerfile", "ini"}

// commandsOf returns the pieces of a document that may be commands: inline code
// and the lines of shell blocks, without comments, cut at shell operators.
func commandsOf(text string) (commands []string) {
	inline := regexp.MustCompile("`([^`]+)`")
	cut := regexp.MustCompile(`&&|;| [|>] |(?:^|\s)#.*`)
	language, fenced := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "```"); ok {
			language, fenced = rest, !fenced
			continue
		}
		if fenced && slices.Contains(shellFences, language) {
			commands = append(commands, cut.Split(line, -1)...)
		}
		if !fenced {
			for _, code := range inline.FindAllStringSubmatch(line, -1) {
				commands = append(commands, code[1])
			}
		}
	}
	return commands
}

// commandWords returns the words after the program's name, or nil if command is
// not a call of the program. Brackets and quotes of a synopsis or of JSON do not
// count.
func commandWords(command string) []string {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", `"`, " ", ",", " ").Replace(command))
	at := slices.IndexFunc(words, func(w string) bool {
		return w == "nearside" || strings.HasSuffix(w, "/nearside") && w != "./cmd/nearside"
	})
	if at < 0 || at+1 == len(words) || !regexp.MustCompile(`^[a-z-]+$`).MatchString(words[at+1]) {
		return nil
	}
	return words[at+1:]
}

// checkCommand returns an error if words name a command or flag that does not exist.
func checkCommand(node *kong.Node, words []string) error {
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") && slices.ContainsFunc(node.Children, isCommand) {
		at := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == words[0] })
		if at < 0 {
			return fmt.Errorf("%s has no command %s", node.FullPath(), words[0])
		}
		node, words = node.Children[at], words[1:]
	}
	flags := flagsOf(node)
	for _, word := range words {
		name, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "-") && name != "-" && !flags[name] {
			return fmt.Errorf("%s has no flag %s", node.FullPath(), name)
		}
	}
	return nil
}

func isCommand(n *kong.Node) bool { return n.Type == kong.CommandNode }

// flagsOf returns the names of the flags that node accepts, with their dashes.
func flagsOf(node *kong.Node) map[string]bool {
	flags := map[string]bool{}
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			flags["--"+f.Name] = true
			if f.Short != 0 {
				flags["-"+string(f.Short)] = true
			}
		}
	}
	return flags
}

// TestCommandsOfDocuments: each command that a document names exists, with its
// flags, and so does each flag that stands alone.
func TestCommandsOfDocuments(t *testing.T) {
	parser, err := kong.New(newCommands(), kong.Name("nearside"))
	if err != nil {
		t.Fatal(err)
	}
	root := parser.Model.Node
	everywhere := flagsOf(root)
	for _, leaf := range parser.Model.Leaves(false) {
		maps.Copy(everywhere, flagsOf(leaf))
	}
	named, flags := 0, 0
	for path, text := range sources(t, ".md") {
		for _, command := range commandsOf(text) {
			if words := commandWords(command); words != nil {
				named++
				if err := checkCommand(root, words); err != nil {
					t.Errorf("%s: `%s`: %v", path, command, err)
				}
			}
			if flag, _, _ := strings.Cut(command, " "); strings.HasPrefix(flag, "--") {
				if flags++; !everywhere[flag] {
					t.Errorf("%s: `%s`: no command has this flag", path, command)
				}
			}
		}
	}
	if named < 40 || flags < 5 {
		t.Errorf("only %d commands and %d flags were found", named, flags)
	}
}

// settingPaths returns the paths of all settings and of their sections.
func settingPaths() map[string]bool {
	paths := map[string]bool{}
	var walk func(prefix string, section map[string]any)
	walk = func(prefix string, section map[string]any) {
		for name, below := range section {
			paths[prefix+name] = true
			if section, ok := below.(map[string]any); ok {
				walk(prefix+name+".", section)
			}
		}
	}
	defaults := config.Default()
	walk("", defaults.Map())
	return paths
}

// TestSettingsOfDocuments: each setting that a document names exists, by its path
// or by its variable.
func TestSettingsOfDocuments(t *testing.T) {
	paths := settingPaths()
	variables := map[string]bool{}
	for path := range paths {
		variables["NEARSIDE_"+strings.ToUpper(strings.ReplaceAll(path, ".", "_"))] = true
	}
	variable := regexp.MustCompile(`NEARSIDE_[A-Z_]*[A-Z]`)
	for _, text := range sources(t, ".go") { // also variables that belong to no setting: other names of NEARSIDE_PLUGINS_ACTIVE, and variables of tests
		for _, name := range regexp.MustCompile(`"NEARSIDE_[A-Z_]+"`).FindAllString(text, -1) {
			variables[strings.Trim(name, `"`)] = true
		}
	}
	setting := regexp.MustCompile(`(?:^|[^\w./:-])((?:limits|plugins|events|matchers|log|descriptors)(?:\.[a-z_]+)+)`)
	files := []string{".md", ".lua", ".go", ".ndjson", ".yaml"}
	named := 0
	var ofPlugins []string
	for path, text := range sources(t, ".md") {
		for _, found := range setting.FindAllStringSubmatch(text, -1) {
			name := found[1]
			switch {
			case slices.Contains(files, filepath.Ext(name)), strings.HasPrefix(name, "plugins.settings."):
			case strings.HasPrefix(path, "docs/plugins") && strings.HasPrefix(name, "limits.") && !paths[name]:
				ofPlugins = append(ofPlugins, strings.TrimPrefix(name, "limits."))
			case !paths[name]:
				t.Errorf("%s: the configuration has no setting %s", path, name)
			default:
				named++
			}
		}
		for _, name := range variable.FindAllString(text, -1) {
			if named++; !variables[name] {
				t.Errorf("%s: no setting has the variable %s", path, name)
			}
		}
	}
	if named < 40 || len(ofPlugins) == 0 {
		t.Errorf("only %d settings of the server and %d limits of plugins were found", named, len(ofPlugins))
	}
	checkPluginLimits(t, ofPlugins)
}

// checkPluginLimits reports limits that the table of a plugin cannot have.
func checkPluginLimits(t *testing.T, names []string) {
	t.Helper()
	slices.Sort(names)
	dir := t.TempDir()
	plugin := "return { api = 1, name = 'p', kinds = { 'background' }, limits = { " + strings.Join(slices.Compact(names), " = 1, ") + " = 1 } }\n"
	if err := os.WriteFile(filepath.Join(dir, "p.lua"), []byte(plugin), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := runCommand([]string{"plugin", "check", "--dir", dir}, nil, &stdout, &stderr); code != 0 {
		t.Errorf("a document names a limit that plugins do not have: %s%s", &stdout, &stderr)
	}
}

// TestConfigurationsOfDocuments: each block of YAML in a document is a
// configuration that the server accepts, and that of docs/api.md has every
// setting.
func TestConfigurationsOfDocuments(t *testing.T) {
	blocks := 0
	for path, text := range sources(t, ".md") {
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			blocks++
			if _, warnings, err := config.Read(writeConfig(t, block[1]), nil, nil); err != nil || len(warnings) > 0 {
				t.Errorf("%s: %v %q in\n%s", path, err, warnings, block[1])
			}
		}
	}
	text := sources(t, "docs/api.md")["docs/api.md"]
	example := yamlBlock.FindString(text)
	for path := range settingPaths() {
		if name := path[strings.LastIndex(path, ".")+1:]; !regexp.MustCompile(`\b` + name + `:`).MatchString(example) {
			t.Errorf("the configuration in docs/api.md lacks %s", path)
		}
	}
	if blocks < 4 {
		t.Errorf("only %d blocks were found", blocks)
	}
}
