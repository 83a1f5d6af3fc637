// Package goval handles Lua values in their Go form. A Lua table is a
// map[string]any or a []any; see vm.Call.Value.
//
// A [Reader] reads the fields of an options table and collects the faults.
// [EncodeJSON] and [DecodeJSON] turn values into JSON and back without loss.
// [DidYouMean] suggests a known name for a misspelt one.
package goval
