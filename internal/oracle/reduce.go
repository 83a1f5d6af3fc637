package oracle

import "slices"

// Reduce removes the parts of a decoded answer that the oracle does not know: the details
// of errors of imports, the times of lists, and a plan except its counts and the matcher
// that answered.
func (w *World) Reduce(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			w.Reduce(x)
		}
	case map[string]any:
		for _, x := range v {
			w.Reduce(x)
		}
		roundNumbers(v)
		if _, ok := v["line"]; ok {
			delete(v, "detail")
		}
		if _, ok := v["face_count"]; ok {
			delete(v, "create_time")
		}
		if plan, ok := v["plan"].(map[string]any); ok {
			v["plan"] = w.reducedPlan(plan)
		}
	}
}

// reducedPlan keeps the counts of a plan and the name of the matcher that answered.
func (w *World) reducedPlan(plan map[string]any) map[string]any {
	reduced := map[string]any{}
	for _, m := range plan["matchers"].([]any) {
		if m := m.(map[string]any); m["chosen"] == true {
			if reduced["by"] != nil { // the oracle expects one matcher, so a second one is a difference
				reduced["by and"] = m["name"]
			}
			reduced["by"] = m["name"]
		}
	}
	by, chosen := reduced["by"].(string)
	if chosen && !slices.Contains(pluginMatchers, by) {
		for _, name := range []string{"rows_selected", "rows_other_version", "rows_scanned"} {
			reduced[name] = plan[name]
		}
	}
	prefilters := plan["prefilters"].([]any)
	for _, p := range prefilters {
		delete(p.(map[string]any), "ms")
	}
	reduced["prefilters"] = prefilters
	return reduced
}
