package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"nearside/internal/access"
	"nearside/matcher"
)

// Bounds of a line.
const (
	// ResultsMax is the largest number of IDs in results.
	ResultsMax = 100
	// ReferencesMax is the largest number of references. The last one then stands for the
	// rest: its type is "omitted", its id is their number, and its sha256 is that of their
	// text in the line.
	ReferencesMax = 1000
	// FilterBytesMax is the largest size of one item of filters. A longer one is replaced
	// by {"bytes": its size, "sha256": the hash of its text}.
	FilterBytesMax = 16 << 10
	filtersMax     = 32
	textBytesMax   = 1024 // of each text that a client chooses
)

// Operations that are not those of a request to the API.
const (
	OperationDenied    = "denied"           // requests without a valid key, or beyond the rate of a key
	OperationExpire    = "expire"           // expired attributes were deleted
	OperationRetention = "retention"        // old objects were deleted
	OperationErase     = "erase"            // a task has deleted what it erases
	OperationMatch     = "pluginMatch"      // a plugin asked for a match
	OperationWrite     = "pluginWrite"      // a plugin has written
	OperationInternal  = "internalWrite"    // another part of the server has written
	OperationReload    = "reloadConfig"     // a signal has reloaded the configuration
	OperationRecovered = "audit.recovered"  // the bytes before the line are no line
	OperationChanged   = "audit.configured" // the settings of the audit were changed
)

// Reference is a reference of a match.
type Reference struct {
	Type, ID string
	SHA256   [sha256.Size]byte // of the descriptor; zero: not known
}

// Entry describes a request for its lines. It must not change after it was passed to a Log
// or to the store.
type Entry struct {
	RequestID, Key, Account, Address string
	Operation                        string // the operationId of the API document
	Target                           string // the path
	Start                            time.Time
	Status                           int  // of a successful write
	Created                          bool // whether a write that creates an object has the status 201 instead
	References                       []Reference
	Filters                          [][]byte // each is JSON
	Results                          []matcher.ID
	Count                            int // of all results

	recorded atomic.Bool
}

// Recorded reports whether the store has a record of a write of the entry.
func (e *Entry) Recorded() bool { return e.recorded.Load() }

type entryKey struct{}

// With returns a context for a request that e describes.
func With(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

// From returns the entry of a context, or nil.
func From(ctx context.Context) *Entry {
	e, _ := ctx.Value(entryKey{}).(*Entry)
	return e
}

// AddResult counts a result, and keeps the first IDs.
func (e *Entry) AddResult(id matcher.ID) {
	if len(e.Results) < ResultsMax {
		e.Results = append(e.Results, id)
	}
	e.Count++
}

// AddReferences adds references of a match, with the hashes of their descriptors.
func (e *Entry) AddReferences(all []matcher.Reference) {
	e.References = slices.Grow(e.References, len(all))
	for i := range all {
		r := &all[i]
		added := Reference{Type: string(r.Type), ID: r.ID}
		if len(r.Descriptor.Data) > 0 {
			added.SHA256 = sha256.Sum256(r.Descriptor.Data)
		}
		e.References = append(e.References, added)
		e.AddReferences(r.Parts)
	}
}

// AddRows adds the rows of a match as results.
func (e *Entry) AddRows(all [][]matcher.Result) {
	for i := range all {
		for j := range all[i] {
			rows := all[i][j].Matches
			for k := 0; k < len(rows) && len(e.Results) < ResultsMax; k++ {
				e.Results = append(e.Results, rows[k].ID)
			}
			e.Count += len(rows)
		}
	}
}

// outcome is what a line says in addition to an entry.
type outcome struct {
	status  int
	results []matcher.ID
	count   int
	now     time.Time
}

// appendContent appends the content of the line of e.
func (e *Entry) appendContent(dst []byte, o outcome) []byte {
	dst = appendTime(dst, o.now)
	dst = appendText(dst, `"request_id":`, e.RequestID)
	dst = appendText(dst, `,"key":`, e.Key)
	dst = appendText(dst, `,"account_id":`, e.Account)
	dst = appendText(dst, `,"address":`, e.Address)
	dst = appendText(dst, `,"operation":`, e.Operation)
	dst = appendText(dst, `,"target":`, maskText(e.Target))
	dst = append(dst, `,"references":[`...)
	dst = appendReferences(dst, e.References)
	dst = append(dst, `],"filters":[`...)
	for i, f := range e.Filters {
		if i > 0 {
			dst = append(dst, ',')
		}
		if i == filtersMax-1 && len(e.Filters) > filtersMax {
			dst = appendDigest(dst, e.Filters[i:])
			break
		}
		if len(f) > FilterBytesMax {
			dst = appendDigest(dst, e.Filters[i:i+1])
			continue
		}
		dst = appendMasked(dst, f)
	}
	dst = append(dst, `],"results":[`...)
	for i := range o.results[:min(len(o.results), ResultsMax)] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendID(append(dst, '"'), o.results[i])
		dst = append(dst, '"')
	}
	dst = append(dst, `],"count":`...)
	dst = strconv.AppendInt(dst, int64(o.count), 10)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(o.status), 10)
	dst = append(dst, `,"ms":`...)
	var ms float64
	if !e.Start.IsZero() {
		ms = max(0, float64(o.now.Sub(e.Start))/float64(time.Millisecond))
	}
	return strconv.AppendFloat(dst, ms, 'f', 3, 64)
}

func appendReferences(dst []byte, all []Reference) []byte {
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		if i == ReferencesMax-1 && len(all) > ReferencesMax {
			var rest []byte
			for j := i; j < len(all); j++ {
				rest = all[j].append(rest)
			}
			last := Reference{Type: "omitted", ID: strconv.Itoa(len(all) - i), SHA256: sha256.Sum256(rest)}
			return last.append(dst)
		}
		dst = all[i].append(dst)
	}
	return dst
}

func (r *Reference) append(dst []byte) []byte {
	dst = appendText(dst, `{"type":`, r.Type)
	dst = appendText(dst, `,"id":`, maskText(shorten(r.ID, 256)))
	dst = append(dst, `,"sha256":"`...)
	if r.SHA256 != [sha256.Size]byte{} {
		dst = hex.AppendEncode(dst, r.SHA256[:])
	}
	return append(dst, `"}`...)
}

// appendDigest appends what takes the place of filters that are too long for a line.
func appendDigest(dst []byte, filters [][]byte) []byte {
	sum, size := sha256.New(), 0
	for _, f := range filters {
		sum.Write(f)
		size += len(f)
	}
	dst = append(dst, `{"bytes":`...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, `,"sha256":"`...)
	return append(hex.AppendEncode(dst, sum.Sum(nil)), `"}`...)
}

// A client may have put a key or a token into the wrong place. Such texts are masked.

func maskText(text string) string { return access.Mask(text, "***") }

func appendMasked(dst, text []byte) []byte {
	if bytes.Contains(text, []byte("ns_")) || bytes.Contains(text, []byte("eyJ")) {
		return append(dst, maskText(string(text))...)
	}
	return append(dst, text...)
}

// appendText appends a name and a text in JSON.
func appendText(dst []byte, name, text string) []byte {
	dst = append(dst, name...)
	text = shorten(text, textBytesMax)
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil { // a text has no error
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// shorten cuts a text to a number of bytes, between two characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// appendID appends the text of an ID.
func appendID(dst []byte, id matcher.ID) []byte {
	var text [36]byte
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	for i, b := range id {
		*(*[2]byte)(text[idPlaces[i]:]) = hexPairs[b]
	}
	return append(dst, text[:]...)
}

// idPlaces has the place of each byte in the text of an ID.
var idPlaces = [16]byte{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// hexPairs has the two hexadecimal digits of each byte.
var hexPairs = func() (pairs [256][2]byte) {
	for i := range pairs {
		hex.Encode(pairs[i][:], []byte{byte(i)})
	}
	return pairs
}()
