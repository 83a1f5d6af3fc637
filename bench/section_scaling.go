package main

import (
	"nearside/bench/synth"
	"nearside/matcher"
)

// scalingSection shows how cost grows with rows, at 512 dimensions, and with
// dimensions, at sets of the same bytes.
func (s *suite) scalingSection() error {
	for rows := 10_000; rows < s.size.rows; rows *= 10 {
		if err := s.scale(u8x512, rows); err != nil {
			return err
		}
	}
	if err := s.scale(u8x512, s.size.rows); err != nil {
		return err
	}
	for _, version := range []uint32{u8x128, u8x2048, cosinex128, cosinex2048} {
		v := s.registry.Version(version)
		if err := s.scale(version, s.size.peerRows*512/v.Size()); err != nil {
			return err
		}
	}
	return nil
}

// scale measures one set with every number of workers.
func (s *suite) scale(version uint32, rows int) error {
	d, err := s.dataset(synth.Faces, version, rows)
	if err != nil {
		return err
	}
	for _, workers := range machineWorkers() {
		e, err := s.engine(d, best(), workers)
		if err != nil {
			return err
		}
		for _, queries := range []int{1, 16, 64} {
			if _, _, err = e.run("scaling", s.size.tryRounds, full(queries)); err != nil {
				break
			}
		}
		e.close()
		if err != nil {
			return err
		}
	}
	if d.version.Encoding == matcher.Uint8 && rows == s.size.rows {
		return nil // the main set
	}
	return s.release(d)
}
