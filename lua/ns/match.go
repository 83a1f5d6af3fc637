package ns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Bounds of ns.match.
const (
	matchRows    = RowsMax // rows of an answer
	matchTexts   = 8 << 20 // bytes of the texts of the objects in an answer
	matchesMax   = 8       // matches of one plugin at the same time; others wait
	matchTimeout = 30 * time.Second
)

// A MatchQuery is a match that a plugin asks for.
type MatchQuery struct {
	Plugin    string             // its own hooks take no part
	Request   *wire.MatchRequest // with one candidate set
	Type      matcher.DescriptorType
	Version   uint32      // required of all references; 0: any
	Account   *matcher.ID // only its objects are visible; nil: all
	RequestID string
	Explain   bool
	// ReferencesMax bounds the references after each key was replaced by its objects.
	// RowsMax bounds the rows of the answer.
	ReferencesMax, RowsMax int
}

// A MatchAnswer is the answer to a MatchQuery.
type MatchAnswer struct {
	References []matcher.Reference
	Results    [][]matcher.Result // by reference, by candidate set
	Plans      [][]*wire.Plan     // by reference, by candidate set; nil unless Explain
}

// matchModule is ns.match.
func matchModule() vm.Module {
	return vm.Module{Functions: []vm.Function{{
		Name: "match",
		Params: []string{"query: {reference: table?, references: table[]?, filters: table, limit: integer?, threshold: number?, targets: string[]?, order: string?, group: table?, " +
			"offset: integer?, count: boolean?, exclude_self: boolean?, descriptor_type: string?, version: integer?, account_id: string?, explain: boolean?, timeout_ms: number?}"},
		Returns: []string{"table? answer", "string? err"}, Waits: true,
		Doc: "Matches as a request to the server does, with all its matchers and the hooks of other plugins, but without the hooks of this plugin. " +
			"A reference, and the fields of the candidate set, are written as in the HTTP API. descriptor_type is face (default) or body. " +
			"With reference, returns {reference, result, count?, plan?}; with references, a list of them. The rows of result are those of the HTTP API. " +
			"Hooks in the path of a request (cost, prefilter, match, request, results) cannot call it.",
		Run: runMatch,
	}}}
}

// requestHooks are the hooks that a request waits for.
var requestHooks = []string{"cost", "prefilter", "match", "request", "results"}

type hookKey struct{}

// WithHook returns a context for the call of a hook. It matters only for hooks that a
// request waits for.
func WithHook(ctx context.Context, hook string) context.Context {
	if !slices.Contains(requestHooks, hook) {
		return ctx
	}
	return hookContext{ctx, hook}
}

// hookContext is a context with the name of a hook under hookKey. It takes half the time of
// context.WithValue.
type hookContext struct {
	context.Context
	hook string
}

// Value implements [context.Context].
func (c hookContext) Value(key any) any {
	if key == (hookKey{}) {
		return c.hook
	}
	return c.Context.Value(key)
}

// inHookError is the error of ns.match in a hook that a request waits for.
type inHookError struct{ hook string }

func (e inHookError) Error() string {
	return fmt.Sprintf("ns.match cannot be called from the hook %s, because a request waits for this hook; call it from a task, a route or handle_event", e.hook)
}

func runMatch(c *vm.Call) error {
	in := self(c)
	if !in.Plugin.Checked.Load() {
		return errors.New("ns.match can be called from initialize on, not while the file is loading")
	}
	services := &in.Plugin.Host.Services
	if services.Match == nil || services.Decoder == nil {
		return errors.New("this host has no matchers")
	}
	given := c.Map(1)
	if given == nil {
		return errors.New("bad argument #1 (table expected, got no value)")
	}
	q, timeout, err := readMatch(services.Decoder(), given)
	if err != nil {
		q = nil // the error is returned after the check of the hook
	}
	var text []byte
	wrong := err
	err = c.Wait(func(ctx context.Context) (err error) {
		if hook, ok := ctx.Value(hookKey{}).(string); ok {
			return inHookError{hook}
		}
		if q == nil {
			return wrong
		}
		text, err = in.match(ctx, q, timeout)
		return err
	})
	if _, refused := errors.AsType[inHookError](err); refused {
		return err
	}
	if err != nil {
		return c.Fail(plainPath(err, given["reference"] != nil))
	}
	return returnMatch(c, text, given["reference"] != nil)
}

// match asks the server, and returns the answer as JSON.
func (in *Instance) match(ctx context.Context, q *MatchQuery, timeout time.Duration) ([]byte, error) {
	p := in.Plugin
	caller := ctx
	ctx, cancel := p.Host.WithTimeout(ctx, timeout)
	defer cancel()
	turn := p.matchTurn()
	err := turn.lock(ctx)
	var answer *MatchAnswer
	if err == nil {
		defer turn.unlock()
		q.Plugin = p.About.Name
		q.RequestID = fmt.Sprintf("%d,%s", p.Host.Clock.Now().Unix(), matcher.NewID())
		answer, err = p.Host.Services.Match(matcher.WithCause(withMatchRoom(ctx), matcher.PluginCause(q.Plugin)), q)
	}
	if err != nil && ctx.Err() != nil && caller.Err() == nil {
		err = fmt.Errorf("timeout: the match needed more than %v", timeout)
	}
	if matcher.CodeOf(err) == matcher.CodeUnavailable {
		peer.RecordOutcome(caller, "match", err) // a message handler did not cause it
	} else {
		peer.RecordOutcome(caller, "match", nil)
	}
	if err != nil {
		return nil, err
	}
	q.Request.Candidates[0].Filters = wire.Value{} // not repeated in the answer
	return wire.AppendMatches(nil, wire.JSON, q.Request, answer.References, answer.Results, answer.Plans), nil
}

// matchTurn returns the lock that bounds the matches of the plugin at the same time.
func (p *Plugin) matchTurn() *turn {
	p.matchOnce.Do(func() { p.matches = turn{host: p.Host, seats: matchesMax} })
	return &p.matches
}

// withMatchRoom returns a context that bounds the texts of an answer.
func withMatchRoom(ctx context.Context) context.Context {
	var used atomic.Int64
	return matcher.WithTextRoom(ctx, func(bytes int) error {
		if used.Add(int64(bytes)) > matchTexts {
			return matcher.Errorf(matcher.CodeTooMany, "answer: the texts of its objects have more than %d bytes; ask for fewer objects or fewer targets", matchTexts)
		}
		return nil
	})
}

// readMatch reads the argument of ns.match. Fields that are not options belong to the
// candidate set.
func readMatch(decoder *wire.Decoder, given map[string]any) (*MatchQuery, time.Duration, error) {
	set, body := map[string]any{}, map[string]any{}
	o := &goval.Reader{Map: map[string]any{}}
	for name, v := range given {
		switch name {
		case "reference":
			body["references"] = []any{v}
		case "references":
			if given["reference"] != nil {
				return nil, 0, errors.New("references: must not be given together with reference")
			}
			body["references"] = v
		case "descriptor_type", "version", "account_id", "explain", "timeout_ms":
			o.Map[name] = v
		case "targets":
			set[name] = listOf(v)
		case "filters":
			set[name] = filtersOf(v)
		default:
			set[name] = v
		}
	}
	if body["references"] == nil {
		return nil, 0, errors.New("reference: is missing; give reference, or references as a list")
	}
	q := &MatchQuery{
		Explain: o.Boolean("explain", false), Version: uint32(o.Whole("version", 0, 1, 1<<32-1)), //nolint:gosec // the bounds fit
		ReferencesMax: decoder.Limits.References, RowsMax: matchRows,
	}
	switch kind := o.Text("descriptor_type", matcher.FaceDescriptor.String()); kind {
	case matcher.FaceDescriptor.String():
	case matcher.BodyDescriptor.String():
		q.Type = matcher.BodyDescriptor
	default:
		o.Fault("descriptor_type", "must be one of face, body, got %q", goval.Shorten(kind))
	}
	timeout := time.Duration(o.Number("timeout_ms", float64(matchTimeout.Milliseconds()), 1, float64(maxTimeout.Milliseconds())) * float64(time.Millisecond))
	var err error
	if q.Account, err = readAccount(o); err != nil {
		return nil, 0, err
	}
	if err := errors.Join(o.Faults...); err != nil {
		return nil, 0, err
	}
	if q.Version != 0 && decoder.Registry.Version(q.Version) == nil {
		return nil, 0, matcher.Errorf(matcher.CodeUnknownVersion, "version: %d is not registered", q.Version)
	}
	body["candidates"] = []any{set}
	text, err := bodyOf(body)
	if err != nil {
		return nil, 0, err
	}
	if q.Request, err = decoder.Match(wire.JSON, text, q.Type); err != nil {
		return nil, 0, err
	}
	return q, timeout, checkSameAccount(q.Account, q.Request.Candidates[0].Filter.Account)
}

// readAccount reads the option account_id; nil: all accounts.
func readAccount(o *goval.Reader) (*matcher.ID, error) {
	text := o.Text("account_id", "")
	if o.Map["account_id"] == nil || len(o.Faults) > 0 {
		return nil, nil
	}
	id, err := matcher.ParseID(text)
	switch {
	case err != nil:
		return nil, matcher.Errorf(matcher.CodeBadInput, "account_id: %w", err)
	case id.IsZero():
		return nil, matcher.Errorf(matcher.CodeBadInput, "account_id: must not be the nil UUID, got %s", id)
	}
	return &id, nil
}

// checkSameAccount refuses an account in filters that differs from the option account_id.
func checkSameAccount(option, filter *matcher.ID) error {
	if option == nil || filter == nil || *option == *filter {
		return nil
	}
	return matcher.Errorf(matcher.CodeAccountConflict, "filters.account_id: %s is another account than account_id, %s", filter, option)
}

// listOf returns v, or an empty list if v is a table without entries.
func listOf(v any) any {
	if _, empty := v.(vm.Empty); empty {
		return []any{}
	}
	return v
}

// filtersOf returns filters whose empty tables are lists, because no filter is an object.
func filtersOf(v any) any {
	fields, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name, value := range fields {
		fields[name] = listOf(value)
	}
	return fields
}

// plainPath removes from the text of err the part of a path that the script did not write.
func plainPath(err error, single bool) error {
	text := strings.TrimPrefix(err.Error(), "candidates[0].")
	if rest, ok := strings.CutPrefix(text, "references[0]"); ok && single {
		text = "reference" + rest
	}
	return errors.New(text)
}

// returnMatch returns an answer to the script. single: there is one reference.
func returnMatch(c *vm.Call, text []byte, single bool) error {
	if err := chargeDecoding(c, text); err != nil {
		return c.Fail(err)
	}
	v, err := goval.DecodeJSON(text)
	if err != nil {
		return err
	}
	items := v.([]any)
	for i := range items {
		item := items[i].(map[string]any)
		matches := item["matches"].([]any)[0].(map[string]any)
		matches["reference"] = item["reference"]
		items[i] = matches
	}
	switch {
	case !single:
		v = items
	case len(items) == 1:
		v = items[0]
	default:
		return c.Fail(fmt.Errorf("reference: stands for %d objects; use references, which returns an answer for each", len(items)))
	}
	if err := c.Return(v); err != nil {
		return c.Fail(fmt.Errorf("the answer is too large: %w", err))
	}
	return nil
}
