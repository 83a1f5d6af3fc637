package server

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"nearside/internal/access"
	"nearside/matcher"
)

// admit finds out who sent the request, and whether they may use the operation.
func (x *exchange) admit() error {
	policy := x.limits.Access
	if !policy.Required() {
		return x.admitLocal()
	}
	if err := x.checkURL(); err != nil {
		return err
	}
	if open := x.operation.open; open == alwaysOpen || open != "" && policy.Opens(open) {
		return nil
	}
	credential, err := x.credential()
	if err != nil {
		return err
	}
	now := time.Now()
	caller, err := policy.Identify(credential, now)
	if err != nil {
		return err
	}
	if err := caller.Begin(now); err != nil {
		x.refusedKey = caller.Name
		return err
	}
	x.caller = caller
	return caller.Allow(x.operation.role)
}

const (
	authorizationHeader = "Authorization"
	keyHeader           = "X-Api-Key"
)

// credential returns the key or the token of the request.
func (x *exchange) credential() (string, error) {
	keys, authorizations := x.Request.Header.PeekAll(keyHeader), x.Request.Header.PeekAll(authorizationHeader)
	if len(keys) > 1 || len(authorizations) > 1 {
		return "", matcher.Errorf(matcher.CodeUnauthorized, "header: %s and %s must be given at most once", authorizationHeader, keyHeader)
	}
	var bearer []byte
	if len(authorizations) == 1 {
		scheme, rest, _ := bytes.Cut(bytes.TrimSpace(authorizations[0]), []byte(" "))
		if bytes.EqualFold(scheme, []byte("Bearer")) {
			bearer = bytes.TrimSpace(rest)
		} else if len(keys) == 0 {
			return "", matcher.Errorf(matcher.CodeUnauthorized, "header: %s must be Bearer and a key", authorizationHeader)
		}
	}
	switch {
	case len(keys) == 1 && bearer != nil && !bytes.Equal(keys[0], bearer):
		return "", matcher.Errorf(matcher.CodeUnauthorized, "header: %s and %s have different keys; send one of them", authorizationHeader, keyHeader)
	case len(keys) == 1:
		return string(keys[0]), nil
	case bearer != nil:
		return string(bearer), nil
	}
	return "", matcher.Errorf(matcher.CodeUnauthorized, "the request needs a key in the header %s (Bearer) or %s", authorizationHeader, keyHeader)
}

// keyParameters are names under which other services accept keys in a query.
var keyParameters = []string{"access_token", "api_key", "apikey", "x-api-key"}

// checkURL refuses a key in the URL, because URLs are kept in the logs of proxies and
// clients. A plugin may have parameters of any name.
func (x *exchange) checkURL() error {
	refused := matcher.Errorf(matcher.CodeBadInput,
		"the URL must not have a key: send it in the header %s (Bearer) or %s; if the URL was logged anywhere, replace the key", authorizationHeader, keyHeader)
	target := x.Request.RequestURI()
	plain, _ := unescape(target)
	if access.HasCredential(string(target)) || access.HasCredential(plain) {
		return refused
	}
	if strings.HasPrefix(string(x.Path()), "/plugins/") {
		return nil
	}
	parameters, err := x.parameters()
	if err != nil {
		return nil // the operation reports it, unless the caller may not use it
	}
	for _, p := range parameters {
		if slices.Contains(keyParameters, strings.ToLower(p.key)) {
			return refused
		}
	}
	return nil
}

// keyName returns the name of the caller's key, or "".
func (x *exchange) keyName() string {
	if x.caller == nil {
		return ""
	}
	return x.caller.Name
}

// turnsPerProcessor is how many matches run at once per processor while several callers
// are active. So many are enough to share the reading of rows.
const turnsPerProcessor = 16

// enterTurn waits until the match of a caller may run. It is called when the body has
// arrived, so that a slow client does not take the place of another one.
func (x *exchange) enterTurn(ctx context.Context) error {
	if x.caller == nil {
		return nil
	}
	turns := x.conn.listener.server.turns
	if err := turns.Enter(ctx, x.caller.Name); err != nil {
		return err
	}
	x.inTurn = true
	return nil
}

// leaveTurn ends what enterTurn began, unless it has ended already.
func (x *exchange) leaveTurn() {
	if x.inTurn {
		x.inTurn = false
		x.conn.listener.server.turns.Leave(x.caller.Name)
	}
}
