// Package access decides who may do what.
//
// A [Policy] is made from the configuration. [Policy.Identify] turns the credential of a
// request, a key or a JSON Web Token, into a [Caller]: a name, a [Role], and the account
// or the lists that the caller is bound to. A Caller also counts the requests of its key
// ([Caller.Begin], [Caller.End]). [Turns] shares the server between callers when it has
// more to do than it can.
//
// The package knows neither HTTP nor which operation needs which role: package server
// does. No error has a credential, or a part of one.
package access
