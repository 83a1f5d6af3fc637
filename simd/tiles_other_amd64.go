//go:build amd64 && !linux && !purego

package simd

import "errors"

func requestTiles() error { return errors.New("tile registers are only used on Linux") }
