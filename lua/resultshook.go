package lua

import (
	"context"

	"nearside/lua/ns"
	"nearside/matcher"
)

// A pluginResults is a plugin as a [matcher.ResultsHook], for one request.
type pluginResults struct {
	*plugin
	room *ns.ExtraRoom // of the answer; all plugins share it
}

// Name implements [matcher.ResultsHook].
func (p pluginResults) Name() string { return p.plugin.Name }

// Applies implements [matcher.ResultsHook].
func (p pluginResults) Applies(sub *matcher.SubRequest) bool { return p.refusal(sub) == "" }

// Results implements [matcher.ResultsHook].
func (p pluginResults) Results(ctx context.Context, sub *matcher.SubRequest, result *matcher.Result) (skipped string, err error) {
	rows, before := ns.NewRows(sub, result, p.room), extraBytes(result)
	defer rows.Discard()
	req := ns.NewHookRequest(ctx, "results", sub)
	defer req.End()
	err = p.matchHook(ctx, "results", func(results []any) error {
		return rows.Commit(results[0], result)
	}, req.Object(), rows.Object())
	if err == nil {
		return "", matcher.ReserveText(ctx, extraBytes(result)-before)
	}
	return p.orSkip(ctx, "results", err)
}

// extraBytes returns the bytes of the fields that plugins have added to the rows of a result.
func extraBytes(result *matcher.Result) (n int) {
	for _, extra := range result.Extra {
		for i := range extra {
			n += extra[i].Bytes()
		}
	}
	return n
}
