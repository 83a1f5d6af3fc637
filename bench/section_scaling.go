package main

import (
	"nearside/bench/synth"
	"nearside/matcher"
)

// scalingSection measures how the time grows with the number of rows, at 512 dimensions,
// and with the number of dimensions, for sets of equal size in bytes.
func (s *suite) scalingSection() error {
	for rows := 10_000; rows < s.size.rows; rows *= 10 {
		if err := s.measureScaling(u8x512, rows); err != nil {
			return err
		}
	}
	if err := s.measureScaling(u8x512, s.size.rows); err != nil {
		return err
	}
	for _, version := range []uint32{u8x128, u8x2048, cosinex128, cosinex2048} {
		v := s.registry.Version(version)
		if err := s.measureScaling(version, s.size.peerRows*512/v.Size()); err != nil {
			return err
		}
	}
	return nil
}

// measureScaling measures one set with every number of workers.
func (s *suite) measureScaling(version uint32, rows int) error {
	d, err := s.dataset(synth.Faces, version, rows)
	if err != nil {
		return err
	}
	for _, workers := range machineWorkers() {
		e, err := s.faceEngine(d, bestKernel(), workers)
		if err != nil {
			return err
		}
		for _, queries := range []int{1, 16, 64} {
			if _, _, err = e.measureWorkload("scaling", s.size.figureRounds, unfiltered(queries)); err != nil {
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
	return s.releaseDatasets(d)
}
