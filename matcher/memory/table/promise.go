package table

import "fmt"

// promise is memory that an update will need.
type promise struct {
	rows  map[Kind]int // there is room for them
	bytes int64        // upper bound of the sizes of all rows
}

// Promise maps memory for the given numbers of rows, so that an update can append them
// without failing. They have at most the given number of bytes. Promise returns an error
// if the memory is not available. Only the writer calls it. It replaces the last promise,
// unless HoldPromise was called.
func (t *Tables) Promise(rows map[Kind]int, bytes int64) error {
	for k, n := range rows {
		if err := t.reserve(k, n+t.heldRows(k)); err != nil {
			return err
		}
	}
	t.promised = promise{rows, bytes}
	return nil
}

// HoldPromise keeps the last promise in addition to later ones, until KeepPromise or
// DropPromise.
func (t *Tables) HoldPromise() {
	t.held = append(t.held, t.promised)
	t.promised = promise{}
}

// KeepPromise records that the rows of the oldest promise were appended.
func (t *Tables) KeepPromise() {
	if len(t.held) == 0 {
		t.promised = promise{}
		return
	}
	t.held = append(t.held[:0], t.held[1:]...)
}

// DropPromise ends the promises that are held. Their rows will not be appended.
func (t *Tables) DropPromise() { t.held = t.held[:0] }

// HeldBytes returns the bytes of the promises that are held.
func (t *Tables) HeldBytes() (bytes int64) {
	for _, p := range t.held {
		bytes += p.bytes
	}
	return bytes
}

func (t *Tables) heldRows(k Kind) (rows int) {
	for _, p := range t.held {
		rows += p.rows[k]
	}
	return rows
}

// reserve makes sure that n more rows of k fit into the open and spare chunks.
func (t *Tables) reserve(k Kind, n int) error {
	have := 0
	if index, ok := t.Open[k]; ok {
		v := &t.Newest.Views[k.Origin][index]
		have = v.Capacity - v.Rows
	}
	for _, c := range t.spare[k] {
		have += c.Capacity
	}
	for have < n {
		if t.ChunkCount(k.Origin) >= ChunksMax {
			return fmt.Errorf("memory: the %s fill all %d chunks that an origin can have", k.Origin, ChunksMax)
		}
		c, err := t.NewChunk(k)
		if err != nil {
			return err
		}
		t.spare[k] = append(t.spare[k], c)
		have += c.Capacity
	}
	return nil
}

// takeChunk returns an empty chunk: a spare chunk if there is one, and otherwise a new
// chunk. New chunks are needed only while the store loads.
func (t *Tables) takeChunk(k Kind) *Chunk {
	if spare := t.spare[k]; len(spare) > 0 {
		last := len(spare) - 1
		c := spare[last]
		spare[last] = nil // otherwise this slice would keep the chunk mapped
		t.spare[k] = spare[:last]
		return c
	}
	c, err := t.NewChunk(k)
	if err != nil {
		panic(err) // committed rows must not be lost
	}
	return c
}
