// Package goval handles the Go values that stand for Lua values. A Lua table is a
// map[string]any or a []any; see vm.Call.Value.
//
// A [Reader] reads the fields of an options table and collects the faults.
// [EncodeJSON] and [DecodeJSON] turn values into JSON and back without loss.
// [DidYouMean] suggests a known name for a misspelt one.
package goval
