package load

import (
	"net/http"
	"strconv"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Match describes match requests. Every body has Batch references and one candidate set.
type Match struct {
	Format  wire.Format
	Version uint32
	Rows    [][]byte    // descriptors of the references, at least one
	Batch   int         // number of references in a request
	Origin  string      // origin of the candidates
	List    *matcher.ID // list of the candidates; nil for all
	Limit   int
}

// bodiesMax is the largest number of different bodies of a target.
const bodiesMax = 64

// Target returns a target with the requests, for the server with the URL base. Bodies use
// the rows one after another, so they differ as long as there are enough rows.
func (m *Match) Target(base string) *Target {
	n := min(bodiesMax, max(1, len(m.Rows)/m.Batch))
	t := &Target{URL: base + "/1/matcher/faces", ContentType: m.Format.MediaType(), Status: http.StatusCreated}
	for i := range n {
		t.Bodies = append(t.Bodies, m.body(i*m.Batch))
	}
	return t
}

// body returns a request whose references are the rows from first on.
func (m *Match) body(first int) []byte {
	w := wire.NewWriter(nil, m.Format)
	w.Object()
	w.Key("references")
	w.Array(m.Batch)
	for i := range m.Batch {
		w.Object()
		w.Key("type")
		w.String(string(matcher.RefRaw))
		w.Key("id")
		w.String(strconv.Itoa(i))
		w.Key("data")
		w.Object()
		w.Key("version")
		w.Uint(uint64(m.Version))
		w.Key("data")
		w.Bytes(m.Rows[(first+i)%len(m.Rows)])
		w.EndObject()
		w.EndObject()
	}
	w.EndArray()
	w.Key("candidates")
	w.Array(1)
	w.Object()
	w.Key("filters")
	w.Object()
	w.Key("origin")
	w.String(m.Origin)
	if m.List != nil {
		w.Key("list_id")
		w.ID(*m.List)
	}
	w.EndObject()
	w.Key("limit")
	w.Int(int64(m.Limit))
	w.Key("targets")
	w.Array(3)
	for _, target := range []string{"face_id", "similarity", "distance"} {
		w.String(target)
	}
	w.EndArray()
	w.EndObject()
	w.EndArray()
	w.EndObject()
	return w.Done()
}
