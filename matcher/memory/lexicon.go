package memory

import (
	"maps"
	"sync"

	"nearside/matcher"
)

// lexiconMax bounds the texts of a lexicon.
const lexiconMax = 1 << 16

// lexicon knows the texts of a column of hashes that has few different ones, so
// that rows found by hash need not be looked at. Texts are never forgotten. The
// store's writer alone adds, before the rows are published: what a snapshot
// shows is known.
type lexicon struct {
	mu      sync.RWMutex
	texts   map[uint32]string
	clashes map[uint32]bool // hashes of several texts
	full    bool            // there are more than it knows
	most    int             // texts
}

func newLexicon() *lexicon {
	return &lexicon{texts: map[uint32]string{}, clashes: map[uint32]bool{}, most: lexiconMax}
}

// add makes text known. The writer's own look needs no lock.
func (l *lexicon) add(hash uint32, text string) {
	if l.full {
		return
	}
	known, ok := l.texts[hash]
	if ok && known == text || l.clashes[hash] {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ok:
		l.clashes[hash] = true
	case len(l.texts) >= l.most:
		l.full, l.texts, l.clashes = true, nil, nil
	default:
		l.texts[hash] = text
	}
}

// knows reports whether text is known, or nothing is.
func (l *lexicon) knows(hash uint32, text []byte) bool {
	return l.full || l.texts[hash] == string(text)
}

// merge makes known what other knows. nil knows nothing.
func (l *lexicon) merge(other *lexicon) {
	switch {
	case other == nil || l.full:
	case other.full:
		l.full, l.texts, l.clashes = true, nil, nil
	default:
		for hash, text := range other.texts {
			l.add(hash, text)
		}
		for hash := range other.clashes {
			if !l.full {
				l.clashes[hash] = true
			}
		}
	}
}

// find says whether text may be there, and whether its hash is that of no
// other text.
func (l *lexicon) find(hash uint32, text string) (maybe, exact bool) {
	if l == nil {
		return true, false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.full || l.clashes[hash] {
		return true, false
	}
	known, ok := l.texts[hash]
	return ok && known == text, true
}

// all returns the known texts by hash, and false when there may be others.
func (l *lexicon) all() (texts map[uint32]string, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.full || len(l.clashes) > 0 {
		return nil, false
	}
	return maps.Clone(l.texts), true
}

// lexicons are those of the columns of events that have one.
type lexicons struct {
	texts [eventHashes]*lexicon
	meta  []*lexicon // by declared field
}

// of returns the lexicon of a text; nil: it has none.
func (l *lexicons) of(o matcher.Origin, field int) *lexicon {
	if o == matcher.Events {
		return l.texts[field]
	}
	return nil
}

func newLexicons(meta []matcher.MetaField) lexicons {
	var l lexicons
	for _, f := range []int{eventSource, eventHandler, eventStream, eventCity, eventArea, eventDistrict, eventStreet, eventHouse} {
		l.texts[f] = newLexicon()
	}
	l.meta = make([]*lexicon, len(meta))
	for i, f := range meta {
		if f.Type == matcher.MetaString {
			l.meta[i] = newLexicon()
		}
	}
	return l
}

// addRow makes the texts of a row of events known, which its columns have the
// hashes of.
func (l *lexicons) addRow(v *view, i int) {
	rest := v.at(i)
	for f, lex := range l.texts {
		var s []byte
		if s, rest = text(rest); lex != nil && len(s) > 0 && !lex.knows(v.hashes[f][i], s) {
			lex.add(v.hashes[f][i], string(s))
		}
	}
	for f := range l.meta {
		if l.meta[f] != nil && v.events.meta[f].hashes[i] != 0 {
			meta, _ := text(rest)
			l.addMeta(parseMeta(string(meta)), v.layout.meta)
			return
		}
	}
}

// merge makes known what other knows. Nobody may use l meanwhile.
func (l *lexicons) merge(other *lexicons) {
	for f := range l.texts {
		l.texts[f].merge(other.texts[f])
	}
	for f := range other.meta {
		l.meta[f].merge(other.meta[f])
	}
}

// add makes the texts of an event known; root is its meta, parsed.
func (l *lexicons) add(o *matcher.Object, meta []matcher.MetaField, root any) {
	var texts [textsMax]string
	all := textsOf(texts[:0], o)
	for f, lex := range l.texts {
		if lex != nil && all[f] != "" {
			lex.add(hashString(all[f]), all[f])
		}
	}
	l.addMeta(root, meta)
}

func (l *lexicons) addMeta(root any, meta []matcher.MetaField) {
	for i, lex := range l.meta {
		if lex == nil {
			continue
		}
		if s, ok := valueAt(root, meta[i].Path).(string); ok {
			lex.add(hashPresent(s), s)
		}
	}
}
