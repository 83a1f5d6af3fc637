package ns

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// An AnswerStream sends the answer of a route in pieces. Its methods are called by one
// goroutine at a time.
type AnswerStream interface {
	// Begin sets the status and the headers, whose names are in lower case. It is called
	// once, before the first Write.
	Begin(status int, headers map[string]string)
	// Write sends a piece. It returns when the piece was sent, or when the client has left
	// or is too slow. It must not keep piece.
	Write(piece []byte) error
}

// errClientLeft is what a script reads after AnswerStream.Write has failed.
var errClientLeft = errors.New("the client has left, or reads too slowly")

// errAnswered means that req:write was called too late.
var errAnswered = errors.New("the request has been answered already")

// errPluginEnds is what a script reads after the close of its plugin has begun. An endless
// answer would delay the close until its time limit.
var errPluginEnds = errors.New("the plugin ends")

// An Answer is the answer of one request to a route, as far as it is sent by req:write.
type Answer struct {
	out   AnswerStream // nil: the host does not send answers in pieces
	ends  func() bool  // whether a reload or the shutdown waits for the plugin
	turn  turn         // held while a piece is sent; protects the fields below
	begun bool
	ended bool
	fault error // why the last piece was not sent
}

// NewAnswer returns the answer of a request. out may be nil. ends reports whether the plugin
// is being closed, so that no further piece is sent.
func NewAnswer(h *Host, out AnswerStream, ends func() bool) *Answer {
	return &Answer{out: out, ends: ends, turn: turn{host: h}}
}

// Request returns the table with the fields of a request and the method write.
func (a *Answer) Request(fields map[string]any) any {
	return vm.MethodTable{Fields: fields, Methods: map[string]func(*vm.Call) error{"write": a.write}}
}

// End ends the answer; later calls of req:write fail. It waits for a piece that is being
// sent. begun reports whether a piece was sent.
func (a *Answer) End() (begun bool) {
	_ = a.turn.lock(context.Background()) // never fails with this context
	defer a.turn.unlock()
	a.ended = true
	return a.begun
}

// write is req:write(text, options). Argument 1 is req.
func (a *Answer) write(c *vm.Call) error {
	if a.out == nil {
		return errors.New("this host does not send answers in pieces")
	}
	text := c.Text(2)
	status, headers, err := readHead(c.Map(3))
	if err != nil {
		return err
	}
	c.Charge(len(text) / 16)
	c.Allocate(len(text))
	var mistake, failed error
	err = c.Wait(func(ctx context.Context) error {
		if err := a.turn.lock(ctx); err != nil {
			return err
		}
		defer a.turn.unlock()
		switch {
		case a.ended:
			failed = errAnswered
		case a.ends():
			failed = errPluginEnds
		case a.begun && c.Has(3):
			mistake = errors.New("the answer has begun: only the first call can set the status and headers")
		default:
			failed = a.send(status, headers, []byte(text))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case mistake != nil:
		return mistake
	case failed != nil:
		return c.Fail(failed)
	}
	return c.Return(true)
}

// send sends a piece. The caller holds the turn.
func (a *Answer) send(status int, headers map[string]string, piece []byte) error {
	if a.fault != nil {
		return a.fault
	}
	if !a.begun {
		a.begun = true
		a.out.Begin(status, headers)
	}
	if err := a.out.Write(piece); err != nil {
		a.fault = errClientLeft
	}
	return a.fault
}

// readHead reads {status, headers}, the options of the first piece.
func readHead(options map[string]any) (status int, headers map[string]string, err error) {
	o := &goval.Reader{Map: options, Path: "options."}
	o.RefuseUnknown("status", "headers")
	status = o.Whole("status", 200, 200, 599)
	if status == 204 || status == 205 || status == 304 {
		o.Fault("status", "an answer with the status %d has no body", status)
	}
	headers, err = AnswerHeaders(o.Table("headers"))
	return status, headers, errors.Join(append(o.Faults, err)...)
}

// AnswerHeaders reads the headers of an answer. The names in the result are in lower case.
func AnswerHeaders(table map[string]any) (map[string]string, error) {
	headers := make(map[string]string, len(table))
	for name, v := range table {
		value, ok := v.(string)
		switch {
		case name == "":
			return nil, errors.New("headers: a name is empty")
		case !ok:
			return nil, fmt.Errorf("headers.%s: must be a string, got %s", name, goval.Describe(v))
		case strings.ContainsAny(name+value, "\r\n\x00"):
			return nil, fmt.Errorf("headers: neither names nor values may have line breaks or zero bytes, got %q: %q", name, value)
		}
		headers[strings.ToLower(name)] = value
	}
	return headers, nil
}
