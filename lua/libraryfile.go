package lua

import (
	"fmt"
	"strings"

	"nearside/lua/vm"
)

// LibraryFile is the definition of require("nearside") for editors, in
// LuaCATS: lua/library/nearside.lua.
func LibraryFile() string {
	var b strings.Builder
	b.WriteString("---@meta nearside\n-- Written from the host's modules: go test ./lua -run TestLibraryFile -update\n\n")
	for _, m := range library.Modules {
		for _, c := range m.Classes {
			fmt.Fprintf(&b, "---%s\n---@class %s\n", c.Doc, c.Name)
			for _, v := range c.FieldDocs {
				writeValue(&b, v)
			}
			fmt.Fprintf(&b, "local %s = {}\n", c.Name)
			for _, f := range c.Methods {
				writeFunction(&b, c.Name+":", f)
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("---@class nearside\n")
	writeValues(&b, "")
	b.WriteString("local ns = {}\n")
	for _, m := range library.Modules {
		prefix := "ns."
		if m.Name != "" {
			prefix += m.Name + "."
			fmt.Fprintf(&b, "\n---%s\n---@class nearside.%s\n", m.Doc, m.Name)
			writeValues(&b, m.Name)
			fmt.Fprintf(&b, "ns.%s = {}\n", m.Name)
		}
		for _, f := range m.Functions {
			writeFunction(&b, prefix, f)
		}
	}
	b.WriteString("\nreturn ns\n")
	return b.String()
}

func writeValues(b *strings.Builder, module string) {
	for _, m := range library.Modules {
		if m.Name != module {
			continue
		}
		for _, v := range m.Values {
			writeValue(b, v)
		}
	}
}

func writeValue(b *strings.Builder, v vm.Value) {
	fmt.Fprintf(b, "---@field %s %s %s\n", v.Name, v.Type, v.Doc)
}

func writeFunction(b *strings.Builder, prefix string, f vm.Function) {
	waits := ""
	if f.Waits {
		waits = " Waits."
	}
	fmt.Fprintf(b, "\n---%s%s\n", f.Doc, waits)
	var names []string
	for _, p := range f.Params {
		name, kind, _ := strings.Cut(p, ": ")
		fmt.Fprintf(b, "---@param %s %s\n", name, kind)
		names = append(names, strings.TrimSuffix(name, "?"))
	}
	for _, r := range f.Returns {
		fmt.Fprintf(b, "---@return %s\n", r)
	}
	fmt.Fprintf(b, "function %s%s(%s) end\n", prefix, f.Name, strings.Join(names, ", "))
}
