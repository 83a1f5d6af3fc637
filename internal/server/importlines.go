package server

import (
	"bytes"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

const (
	blocksMax    = 16  // blocks that wait for decoding, and blocks that wait for the store
	lineErrorMax = 100 // errors in the answer
	// lineErrorBytes is about the memory of an error.
	lineErrorBytes = 512
)

// lineBlock is a sequence of whole lines.
type lineBlock struct {
	text     []byte        // until the block is decoded
	textRoom int           // reserved bytes of textRoom, until the block is decoded
	room     int           // reserved bytes of lineRoom, until the lines are stored; decodeBlock reduces it to cost
	first    int           // number of the first line, from 1
	done     chan struct{} // closed when the fields below are set

	lines   []store.ImportLine
	numbers []int                   // line numbers of lines
	cost    lineCost                // of lines and errors
	lists   map[matcher.ID]struct{} // of all lines, until the block is decoded; the commit may have to create them
	errors  []lineError             // of rejected lines, at most lineErrorMax
	faults  int                     // number of rejected lines
	err     error                   // an internal error, which ends the import
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
	number, text := b.first, b.text
	if number == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF")) // a byte order mark
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		in, cost, err := d.decodeLine(line)
		switch {
		case err != nil:
			b.rejectLine(number, err)
		case in.Object != nil:
			b.lines = append(b.lines, in)
			b.numbers = append(b.numbers, number)
			b.cost.add(cost)
			b.addLists(in)
		}
		number++
	}
	releaseLines(b.text)
	b.text, b.lists = nil, nil
	d.texts.release(b.textRoom)
	// Rejected lines keep only their error, and blank lines keep nothing.
	if b.cost.object < b.room {
		d.lines.release(b.room - b.cost.object)
		b.room = b.cost.object
	}
}

// decodeLine decodes one line. The result of a blank line has no Object.
func (d lineDecoder) decodeLine(line []byte) (decoded store.ImportLine, cost lineCost, err error) {
	if limit := d.x.limits.LineBytes; int64(len(line)) > limit {
		return decoded, cost, matcher.Errorf(matcher.CodeTooLarge, "the line must have at most %d bytes", limit)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return decoded, cost, nil
	}
	in, err := d.decoder.Decode(line)
	if err == nil {
		err = d.x.completeObject(in)
	}
	if err != nil {
		return decoded, cost, err
	}
	if in.Object.Origin == matcher.Attributes && !in.HasExpiry {
		in.Object.Expires = matcher.TimeOf(time.Now().Add(attributeTTL * time.Second))
	}
	if err := d.x.checkLineLists(in, d.list); err != nil {
		return decoded, cost, err
	}
	accounts, err := d.x.listAccounts(in.ListAccounts)
	if err != nil {
		return decoded, cost, err
	}
	decoded = store.ImportLine{Object: &in.Object, HasLists: in.HasLists, AddList: d.list, ListAccounts: accounts}
	return decoded, costOf(in), nil
}

// addLists adds the cost of the lists of a line that no earlier line of the block has. The
// commit creates those that do not exist.
func (b *lineBlock) addLists(line store.ImportLine) {
	for _, id := range line.Object.Lists {
		if b.lists == nil {
			b.lists = map[matcher.ID]struct{}{}
		}
		before := len(b.lists)
		if b.lists[id] = struct{}{}; len(b.lists) > before {
			b.cost.commit += newListCommit
		}
	}
}

func (b *lineBlock) rejectLine(line int, err error) {
	b.faults++
	if len(b.errors) < lineErrorMax {
		b.errors = append(b.errors, lineError{line, asError(err).Detail})
		b.cost.object += lineErrorBytes
	}
}

// listAccounts checks the accounts of lists in a line. An import of one account
// creates lists of that account only, so it returns nil for it.
func (x *exchange) listAccounts(given map[matcher.ID]matcher.ID) (map[matcher.ID]matcher.ID, error) {
	if x.account == nil {
		return given, nil
	}
	for _, list := range slices.SortedFunc(maps.Keys(given), matcher.ID.Compare) {
		if account := given[list]; !account.IsZero() && account != *x.account && x.bound() {
			return nil, x.otherAccount("list_accounts."+list.String(), account)
		} else if !account.IsZero() && account != *x.account {
			return nil, matcher.Errorf(matcher.CodeAccountConflict, "list_accounts.%s: %s is another account than the query's %s", list, account, x.account)
		}
	}
	return nil, nil
}
