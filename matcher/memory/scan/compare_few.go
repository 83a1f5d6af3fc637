package scan

import "nearside/matcher"

// compareFew compares the references of a job with a strip of a small selection. It takes
// the selected rows of 64 adjacent rows at a time, so its time depends on the number of
// rows only.
func (w *scanner) compareFew(p task) {
	search := p.job.Searches[0]
	t := task{p.job, &w.part}
	for rows := p.strip.few; len(rows) > 0; {
		at := rows[0] &^ 63
		w.word[0] = 0
		for len(rows) > 0 && rows[0]&^63 == at {
			w.word[0] |= 1 << (rows[0] & 63)
			rows = rows[1:]
		}
		v, lo := search.snap.At(search.origin, at)
		w.part = strip{view: v, base: at &^ 0xffff, lo: lo, hi: min(lo+64, v.Rows), mask: w.word[:]}
		if p.job.version.Encoding == matcher.Uint8 {
			w.compareSparse(t)
			continue
		}
		w.members = w.members[:0]
		w.addMembers(t, false)
		for i := range w.members {
			w.comparePiece(p.job.version, &w.members[i], lo, w.word[0])
		}
	}
}
