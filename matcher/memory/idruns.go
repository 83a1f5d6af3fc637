package memory

import "nearside/matcher"

// idRun is the rest of a chunk's rows in the order of IDs.
type idRun struct {
	rows  []uint16
	ids   []matcher.ID
	chunk uint32   // row number of the chunk's row 0
	n     int      // rows n and higher are not in the snapshot
	words []uint64 // selected rows, one bit per row; nil: all rows
}

func (r *idRun) id() *matcher.ID { return &r.ids[r.rows[0]] }

// seek drops rows until the next selected one. It reports whether there is one.
func (r *idRun) seek() bool {
	for len(r.rows) > 0 {
		i := int(r.rows[0])
		if i < r.n && (r.words == nil || r.words[i>>6]>>(i&63)&1 == 1) {
			return true
		}
		r.rows = r.rows[1:]
	}
	return false
}

// idRuns is a heap of runs. The first run has the smallest ID.
type idRuns []idRun

// push adds a run, unless it has no selected rows.
func (h *idRuns) push(r idRun) {
	if !r.seek() {
		return
	}
	*h = append(*h, r)
	for i := len(*h) - 1; i > 0; {
		parent := (i - 1) / 2
		if (*h)[i].id().Compare(*(*h)[parent].id()) > 0 {
			return
		}
		(*h)[i], (*h)[parent] = (*h)[parent], (*h)[i]
		i = parent
	}
}

// pop removes the smallest ID.
func (h *idRuns) pop() {
	all := *h
	if all[0].rows = all[0].rows[1:]; !all[0].seek() {
		all[0] = all[len(all)-1]
		all = all[:len(all)-1]
		*h = all
	}
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(all); child++ {
			if all[child].id().Compare(*all[least].id()) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		all[i], all[least] = all[least], all[i]
		i = least
	}
}
