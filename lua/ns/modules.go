package ns

import (
	"fmt"
	"strings"

	"nearside/lua/vm"
)

// Root is the name with which scripts require the host's library.
const Root = "nearside"

// Library is the library that every plugin can require. It is immutable.
var Library = vm.NewLibrary(Root, modules()...)

// modules lists the modules of the library.
func modules() []vm.Module {
	return []vm.Module{
		amqpModule(),
		Base64Module(),
		batchModule(),
		cronModule(),
		HashModule(),
		HexModule(),
		httpModule(),
		Int64Module(),
		JSONModule(),
		kvModule(),
		logModule(),
		matchModule(),
		metricsModule(),
		miscModule(),
		ReModule(),
		redisModule(),
		rejectModule(),
		resourceModule(),
		routeModule(),
		rowsModule(),
		setModule(),
		storeModule(),
		syncModule(),
		tasksModule(),
		TimeModule(),
	}
}

// LibraryFile returns the contents of lua/library/nearside.lua, the definition of
// require("nearside") for editors, in LuaCATS.
func LibraryFile() string { return FormatLibrary(Library, "ns") }

// FormatLibrary returns the definition of lib for editors, in LuaCATS. local is the
// name of the library's local variable in the file.
func FormatLibrary(lib *vm.Library, local string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---@meta %s\n-- Generated from the host's modules by: go test ./lua/trial -run TestLibraryFile -update\n\n", lib.Root)
	for _, m := range lib.Modules {
		for _, c := range m.Classes {
			fmt.Fprintf(&b, "---%s\n---@class %s\n", c.Doc, c.Name)
			writeFields(&b, c.Fields)
			fmt.Fprintf(&b, "local %s = {}\n", c.Name)
			for _, f := range c.Methods {
				writeFunction(&b, c.Name+":", f)
			}
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, "---@class %s\n", lib.Root)
	for _, m := range lib.Modules {
		if m.Name == "" {
			writeFields(&b, m.Values)
		}
	}
	fmt.Fprintf(&b, "local %s = {}\n", local)
	for _, m := range lib.Modules {
		prefix := local + "."
		if m.Name != "" {
			prefix += m.Name + "."
			fmt.Fprintf(&b, "\n---%s\n---@class %s.%s\n", m.Doc, lib.Root, m.Name)
			writeOverload(&b, m.Call)
			writeFields(&b, m.Values)
			fmt.Fprintf(&b, "%s.%s = {}\n", local, m.Name)
		}
		for _, f := range m.Functions {
			writeFunction(&b, prefix, f)
		}
	}
	fmt.Fprintf(&b, "\nreturn %s\n", local)
	return b.String()
}

// writeOverload writes the function that is called when a module itself is called. f is
// nil if the module cannot be called.
func writeOverload(b *strings.Builder, f *vm.Function) {
	if f != nil {
		fmt.Fprintf(b, "---%s\n---@overload fun(%s): %s\n", f.Doc, strings.Join(f.Params, ", "), strings.Join(f.Returns, ", "))
	}
}

func writeFields(b *strings.Builder, fields []vm.Value) {
	for _, v := range fields {
		fmt.Fprintf(b, "---@field %s %s %s\n", v.Name, v.Type, v.Doc)
	}
}

func writeFunction(b *strings.Builder, prefix string, f vm.Function) {
	waits := ""
	if f.Waits {
		waits = " This call waits."
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
