package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"nearside/matcher"
)

// A qdrantPeer behaves as Qdrant's REST interface is documented (api.qdrant.tech: collections,
// points, filtering, search), for collections with one vector per point. It refuses requests
// with fields that it does not know. Scores are computed in single precision. The order of
// points with equal scores is random.
type qdrantPeer struct {
	mu          sync.Mutex
	collections map[string]*qdrantCollection
	random      *rand.Rand
	queries     int  // requests to points/query
	refused     int  // requests that were answered with 4xx, except for those of missing collections
	down        bool // answer 503
}

type qdrantCollection struct {
	Size     int    `json:"size"`
	Distance string `json:"distance"`
	points   map[string]*qdrantPoint
	indexed  []string
}

type qdrantPoint struct {
	ID      string         `json:"id"`
	Vector  []float32      `json:"vector"`
	Payload map[string]any `json:"payload"`
}

type qdrantFilter struct {
	Must    []qdrantCondition `json:"must"`
	MustNot []qdrantCondition `json:"must_not"`
}

type qdrantCondition struct {
	Key   string `json:"key"`
	Match struct {
		Value any `json:"value"`
	} `json:"match"`
}

type qdrantScore struct {
	ID      string  `json:"id"`
	Version int     `json:"version"`
	Score   float32 `json:"score"`
}

// startQdrant starts a peer without collections, and returns it and its address.
func startQdrant(t *testing.T, seed uint64) (*qdrantPeer, string) {
	q := &qdrantPeer{collections: map[string]*qdrantCollection{}, random: rand.New(rand.NewPCG(seed, 0))}
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	return q, server.URL
}

// ServeHTTP implements [http.Handler].
func (q *qdrantPeer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	result, status, err := q.run(r)
	reply := map[string]any{"result": result, "status": "ok", "time": 0.001}
	if err != nil {
		reply = map[string]any{"status": map[string]any{"error": err.Error()}, "time": 0.001}
		if status != http.StatusNotFound {
			q.refused++
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		panic(err)
	}
}

// run returns the result and the status of a request.
func (q *qdrantPeer) run(r *http.Request) (result any, status int, err error) {
	if q.down {
		return nil, http.StatusServiceUnavailable, errors.New("service is down")
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/collections/")
	name, operation, _ := strings.Cut(path, "/")
	if !ok || name == "" {
		return nil, http.StatusNotFound, errors.New("not found")
	}
	c, method := q.collections[name], r.Method+" "+operation
	switch {
	case method == "PUT " && c != nil:
		return nil, http.StatusConflict, fmt.Errorf("wrong input: collection %s already exists", name)
	case method == "PUT ":
		result, err = q.create(name, r)
	case c == nil:
		return nil, http.StatusNotFound, fmt.Errorf("not found: collection %s does not exist", name)
	case method == "GET ":
		result = map[string]any{"status": "green", "points_count": len(c.points), "config": map[string]any{"params": map[string]any{"vectors": c}}}
	case method == "PUT index":
		result, err = c.index(r)
	case method == "PUT points":
		result, err = c.upsert(r)
	case method == "POST points/delete":
		result, err = c.remove(r)
	case method == "POST points/query":
		q.queries++
		result, err = c.query(r, q.random)
	default:
		return nil, http.StatusNotFound, errors.New("not found")
	}
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	return result, http.StatusOK, nil
}

// read decodes the body of a request into v. It refuses unknown fields, and writes that do
// not wait until they are visible.
func read(r *http.Request, v any) error {
	writes := strings.HasSuffix(r.URL.Path, "/index") || strings.HasSuffix(r.URL.Path, "/points") || strings.HasSuffix(r.URL.Path, "/points/delete")
	if writes && r.URL.Query().Get("wait") != "true" {
		return errors.New("the test wants wait=true")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("format error in JSON body: %w", err)
	}
	return nil
}

func (q *qdrantPeer) create(name string, r *http.Request) (any, error) {
	var body struct {
		Vectors qdrantCollection `json:"vectors"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.Vectors.Size < 1 || !slices.Contains([]string{"Cosine", "Euclid", "Dot", "Manhattan"}, body.Vectors.Distance) {
		return nil, errors.New("vectors: wrong size or distance")
	}
	body.Vectors.points = map[string]*qdrantPoint{}
	q.collections[name] = &body.Vectors
	return true, nil
}

func (c *qdrantCollection) index(r *http.Request) (any, error) {
	var body struct {
		FieldName   string `json:"field_name"`
		FieldSchema string `json:"field_schema"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.FieldName == "" || body.FieldSchema != "keyword" {
		return nil, errors.New("the test wants an index of keywords")
	}
	c.indexed = append(c.indexed, body.FieldName)
	return map[string]any{"operation_id": 0, "status": "completed"}, nil
}

func (c *qdrantCollection) upsert(r *http.Request) (any, error) {
	var body struct {
		Points []*qdrantPoint `json:"points"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	for _, p := range body.Points {
		if _, err := matcher.ParseID(p.ID); err != nil {
			return nil, fmt.Errorf("value %s is not a valid point ID", p.ID)
		}
		if len(p.Vector) != c.Size {
			return nil, fmt.Errorf("wrong input: vector dimension error: expected dim: %d, got %d", c.Size, len(p.Vector))
		}
	}
	for _, p := range body.Points {
		c.points[p.ID] = p
	}
	return map[string]any{"operation_id": 0, "status": "completed"}, nil
}

func (c *qdrantCollection) remove(r *http.Request) (any, error) {
	var body struct {
		Points []string      `json:"points"`
		Filter *qdrantFilter `json:"filter"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if (body.Points == nil) == (body.Filter == nil) {
		return nil, errors.New("data did not match any variant of untagged enum PointsSelector")
	}
	for _, id := range body.Points {
		delete(c.points, id)
	}
	for id, p := range c.points {
		if body.Filter != nil && body.Filter.passes(p) {
			delete(c.points, id)
		}
	}
	return map[string]any{"operation_id": 0, "status": "completed"}, nil
}

// query returns the nearest points. The default of limit is 10.
func (c *qdrantCollection) query(r *http.Request, random *rand.Rand) (any, error) {
	body := struct {
		Query  []float32    `json:"query"`
		Filter qdrantFilter `json:"filter"`
		Params struct {
			Exact bool `json:"exact"`
		} `json:"params"`
		Limit       int  `json:"limit"`
		WithPayload bool `json:"with_payload"`
	}{Limit: 10}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if len(body.Query) != c.Size || !body.Params.Exact || body.Limit < 1 || c.Distance != "Euclid" {
		return nil, errors.New("the test wants an exact search by a vector of the right size, and Euclid")
	}
	found := []qdrantScore{}
	for _, p := range c.points {
		if body.Filter.passes(p) {
			found = append(found, qdrantScore{ID: p.ID, Score: euclid(p.Vector, body.Query)})
		}
	}
	slices.SortFunc(found, func(a, b qdrantScore) int { return strings.Compare(a.ID, b.ID) }) // maps have no order
	random.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	slices.SortStableFunc(found, func(a, b qdrantScore) int {
		switch {
		case a.Score < b.Score: // the smallest distance first
			return -1
		case a.Score > b.Score:
			return 1
		}
		return 0
	})
	return map[string]any{"points": found[:min(body.Limit, len(found))]}, nil
}

// euclid returns the distance. It adds in single precision, from the first dimension to the
// last, which is less precise than code with partial sums.
func euclid(a, b []float32) float32 {
	var sum float32
	for i := range a {
		d := a[i] - b[i]
		sum += d * d
	}
	return float32(math.Sqrt(float64(sum)))
}

// passes reports whether all conditions of must hold for p, and none of must_not.
func (f *qdrantFilter) passes(p *qdrantPoint) bool {
	for _, c := range f.Must {
		if !c.holds(p) {
			return false
		}
	}
	return !slices.ContainsFunc(f.MustNot, func(c qdrantCondition) bool { return c.holds(p) })
}

// holds: if the payload has a list of values, one of them must match.
func (c *qdrantCondition) holds(p *qdrantPoint) bool {
	if list, ok := p.Payload[c.Key].([]any); ok {
		return slices.Contains(list, c.Match.Value)
	}
	value, ok := p.Payload[c.Key]
	return ok && value == c.Match.Value
}
