package server

import "nearside/internal/coding"

// contentBytes is the size of the buffer for decompressed bytes of an import.
const contentBytes = 64 << 10

// contentReader reads the compressed body of an import and decompresses it. Decompressing
// happens in wait, because Read must not wait for the client. Unlike the decoder of other
// bodies, that of an import exists while the client sends. So its state and buffer are
// reserved like an unfinished line.
type contentReader struct {
	raw     idleReader
	decoder *coding.Reader
	state   int64 // reserved for the decoder and buffer
	line    int64 // reserved for an unfinished line
	buffer  []byte
	content []byte // the part of buffer that was not read
	err     error  // of the decoder, returned after content
}

func newContentReader(x *exchange) *contentReader {
	r := &contentReader{raw: idleReader{x}}
	r.decoder = coding.NewReader(x.inCoding, compressedReader{r.raw}, r.reserveState)
	return r
}

// wait decompresses the next bytes. It waits for the client if necessary.
func (r *contentReader) wait() {
	if len(r.content) > 0 || r.err != nil {
		return
	}
	r.raw.x.conn.listener.server.workers.runWorker(func() {
		if r.err = r.decoder.Start(); r.err != nil {
			return
		}
		if r.buffer == nil {
			r.buffer = make([]byte, contentBytes)
		}
		n := 0
		n, r.err = r.decoder.Read(r.buffer)
		r.content = r.buffer[:n]
	})
}

// Read implements io.Reader. It does not wait, because wait was called before.
func (r *contentReader) Read(p []byte) (int, error) {
	n := copy(p, r.content)
	r.content = r.content[n:]
	if len(r.content) > 0 {
		return n, nil
	}
	return n, r.err
}

// reserveLine is a reserveFunc.
func (r *contentReader) reserveLine(size int, mayWait bool) (ok bool, err error) {
	line := max(int64(size)-lineFree, 0)
	ok, err = r.raw.reserve(r.state+line, mayWait)
	if ok && err == nil {
		r.line = line
	}
	return ok, err
}

// reserveState reserves memory for the state of the decoder and for the buffer. The caller
// is a worker, except while it waits.
func (r *contentReader) reserveState(bytes int) error {
	all := r.raw.x.conn.listener.server.workers
	all.leave()
	defer all.enter()
	state := int64(bytes) + contentBytes
	_, err := r.raw.reserve(state+r.line, true)
	if err == nil {
		r.state = state
	}
	return err
}

// compressedReader reads the bytes of a compressed body as they arrive. The caller is a
// worker, except while it waits for the client.
type compressedReader struct{ raw idleReader }

// Read implements io.Reader.
func (r compressedReader) Read(p []byte) (int, error) {
	x := r.raw.x
	if x.input.left == 0 || !x.input.buffered() { // the next line or bytes may not have arrived
		all := x.conn.listener.server.workers
		all.leave()
		r.raw.wait()
		all.enter()
	}
	n, err := x.input.Read(p)
	x.bodyRoom.progress(n)
	return n, err
}
