package server

import (
	"bytes"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

const (
	blocksMax    = 16  // blocks that wait for decoding, and blocks that wait for the store
	lineErrorMax = 100 // errors in the answer
)

// lineBlock is a sequence of whole lines.
type lineBlock struct {
	text     []byte        // until the block is decoded
	textRoom int           // reserved bytes of textRoom, until the block is decoded
	room     int           // reserved bytes of lineRoom, until the lines are stored; decodeBlock reduces it
	first    int           // number of the first line, from 1
	done     chan struct{} // closed when the fields below are set

	lines   []store.ImportLine
	numbers []int       // line numbers of lines
	errors  []lineError // of rejected lines, at most lineErrorMax
	faults  int         // number of rejected lines
	err     error       // an internal error, which ends the import
}

// lineError says why a line was rejected.
type lineError struct {
	line   int
	detail string
}

// lineDecoder decodes lines into objects. It is safe for concurrent use.
type lineDecoder struct {
	x            *exchange
	decoder      *wire.LineDecoder
	list         matcher.ID  // the list that all objects join; zero: no list
	texts, lines *importRoom // the room that blocks hold
}

// decodeBlock decodes the lines of b and closes b.done.
func (d lineDecoder) decodeBlock(b *lineBlock) {
	defer close(b.done)
	defer func() {
		if p := recover(); p != nil {
			b.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	number, text, stored := b.first, b.text, 0
	if number == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF")) // a byte order mark
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		in, err := d.decodeLine(line)
		switch {
		case err != nil:
			b.rejectLine(number, err)
		case in.Object != nil:
			b.lines = append(b.lines, in)
			b.numbers = append(b.numbers, number)
			stored += len(line)
		}
		number++
	}
	releaseLines(b.text)
	b.text = nil
	d.texts.release(b.textRoom)
	// Rejected lines keep only their error, and blank lines keep nothing.
	if needed := lineRoomOf(stored, len(b.lines)+len(b.errors)); needed < b.room {
		d.lines.release(b.room - needed)
		b.room = needed
	}
}

// decodeLine decodes one line. The result of a blank line has no Object.
func (d lineDecoder) decodeLine(line []byte) (store.ImportLine, error) {
	if limit := d.x.limits.LineBytes; int64(len(line)) > limit {
		return store.ImportLine{}, matcher.Errorf(matcher.CodeTooLarge, "the line must have at most %d bytes", limit)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return store.ImportLine{}, nil
	}
	in, err := d.decoder.Decode(line)
	if err == nil {
		err = d.x.completeObject(in)
	}
	if err != nil {
		return store.ImportLine{}, err
	}
	accounts, err := d.x.listAccounts(in.ListAccounts)
	if err != nil {
		return store.ImportLine{}, err
	}
	return store.ImportLine{Object: &in.Object, HasLists: in.HasLists, AddList: d.list, ListAccounts: accounts}, nil
}

func (b *lineBlock) rejectLine(line int, err error) {
	b.faults++
	if len(b.errors) < lineErrorMax {
		b.errors = append(b.errors, lineError{line, asError(err).Detail})
	}
}

// listAccounts checks the accounts of lists in a line. An import of one account
// creates lists of that account only, so it returns nil for it.
func (x *exchange) listAccounts(given map[matcher.ID]matcher.ID) (map[matcher.ID]matcher.ID, error) {
	if x.account == nil {
		return given, nil
	}
	for _, list := range slices.SortedFunc(maps.Keys(given), matcher.ID.Compare) {
		if account := given[list]; !account.IsZero() && account != *x.account {
			return nil, matcher.Errorf(matcher.CodeAccountConflict, "list_accounts.%s: %s is another account than the query's %s", list, account, x.account)
		}
	}
	return nil, nil
}
