package table

import (
	"maps"
	"sync"

	"nearside/matcher"
)

// lexiconMax is the default maximum number of texts in a lexicon.
const lexiconMax = 1 << 16

// Lexicon holds the texts of a hash column with few different values. With it, a row that
// was found by hash usually does not need to be read to compare its text. Texts are never
// removed. Only the writer of the store adds texts, and it adds them before it publishes
// their rows. The lexicon therefore covers everything that a snapshot shows.
type Lexicon struct {
	mu      sync.RWMutex
	texts   map[uint32]string
	clashes map[uint32]bool // hashes that several texts share
	full    bool            // there were too many texts, so the lexicon dropped them all
	limit   int             // maximum number of texts
}

func newLexicon(limit int) *Lexicon {
	return &Lexicon{texts: map[uint32]string{}, clashes: map[uint32]bool{}, limit: limit}
}

// Add adds text. Only the writer calls Add, so Add reads without the lock.
func (l *Lexicon) Add(hash uint32, text string) {
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
	case len(l.texts) >= l.limit:
		l.full, l.texts, l.clashes = true, nil, nil
	default:
		l.texts[hash] = text
	}
}

// knows reports whether Add would do nothing, because text is known or the lexicon is
// full.
func (l *Lexicon) knows(hash uint32, text []byte) bool {
	return l.full || l.texts[hash] == string(text)
}

// merge adds the contents of other. A nil other is empty.
func (l *Lexicon) merge(other *Lexicon) {
	switch {
	case other == nil || l.full:
	case other.full:
		l.full, l.texts, l.clashes = true, nil, nil
	default:
		for hash, text := range other.texts {
			l.Add(hash, text)
		}
		for hash := range other.clashes {
			if !l.full {
				l.clashes[hash] = true
			}
		}
	}
}

// Find returns two answers: maybe reports whether a row may have text, and exact reports
// whether no other text has the same hash. A nil lexicon returns true and false, because
// any row may have any text.
func (l *Lexicon) Find(hash uint32, text string) (maybe, exact bool) {
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

// All returns the texts by hash. ok is false if the lexicon is incomplete or nil.
func (l *Lexicon) All() (texts map[uint32]string, ok bool) {
	if l == nil {
		return nil, false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.full || len(l.clashes) > 0 {
		return nil, false
	}
	return maps.Clone(l.texts), true
}

// Lexicons are the lexicons of event columns.
type Lexicons struct {
	texts []*Lexicon // by text of a record; nil: the text has no lexicon
	Meta  []*Lexicon // by declared field; nil: the field has no lexicon
}

// ForText returns the lexicon of the text with index field in the records of o, or nil if
// the text has no lexicon.
func (l *Lexicons) ForText(o matcher.Origin, field int) *Lexicon {
	if o == matcher.Events {
		return l.texts[field]
	}
	return nil
}

func newLexicons(o Options) Lexicons {
	meta := o.MetaFields
	l := Lexicons{texts: make([]*Lexicon, Shapes[matcher.Events].Hashes)}
	for i, f := range Shapes[matcher.Events].Texts[:len(l.texts)] {
		if f.Few {
			l.texts[i] = newLexicon(o.LexiconMax)
		}
	}
	l.Meta = make([]*Lexicon, len(meta))
	for i, f := range meta {
		if f.Type == matcher.MetaString {
			l.Meta[i] = newLexicon(o.LexiconMax)
		}
	}
	return l
}

// addRow adds the texts of an event's row. The columns must already have their hashes.
func (l *Lexicons) addRow(v *View, i int) {
	rest := v.RecordFrom(i)
	for f, lex := range l.texts {
		var s []byte
		if s, rest = cutText(rest); lex != nil && len(s) > 0 && !lex.knows(v.Hashes[f][i], s) {
			lex.Add(v.Hashes[f][i], string(s))
		}
	}
	for f := range l.Meta {
		if l.Meta[f] != nil && v.Events.Meta[f].Hashes[i] != 0 {
			l.addMeta(ParseMeta(string(v.Meta(i))), v.Layout.Meta)
			return
		}
	}
}

// merge adds the contents of other. Nothing else may use l while it runs.
func (l *Lexicons) merge(other *Lexicons) {
	for f := range other.texts {
		l.texts[f].merge(other.texts[f])
	}
	for f := range other.Meta {
		l.Meta[f].merge(other.Meta[f])
	}
}

// addEvent adds the texts of an event. root is its parsed meta.
func (l *Lexicons) addEvent(o *matcher.Object, meta []matcher.MetaField, root any) {
	var texts [textsBuffer]string
	all := Shapes[matcher.Events].appendTexts(texts[:0], o)
	for f, lex := range l.texts {
		if lex != nil && all[f] != "" {
			lex.Add(HashString(all[f]), all[f])
		}
	}
	l.addMeta(root, meta)
}

func (l *Lexicons) addMeta(root any, meta []matcher.MetaField) {
	for i, lex := range l.Meta {
		if lex == nil {
			continue
		}
		if s, ok := ValueAt(root, meta[i].Path).(string); ok {
			lex.Add(HashPresent(s), s)
		}
	}
}
