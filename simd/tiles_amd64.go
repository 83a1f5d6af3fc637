//go:build amd64 && !purego

package simd

import (
	"fmt"
	"sync"
)

// tileState are the bits of XCR0 that say that the operating system saves the tile
// registers and their configuration.
const tileState = 1<<17 | 1<<18

// permitTiles returns nil if this process may use tiles, and otherwise the reason. The
// first call asks the operating system; it must be made only if the CPU has tiles.
var permitTiles = sync.OnceValue(func() error { return askForTiles(xcr0(), requestTiles) })

// askForTiles is permitTiles for a given value of XCR0 and a given request.
func askForTiles(enabled uint64, request func() error) error {
	if enabled&tileState != tileState {
		return fmt.Errorf("the system does not save tile registers: XCR0 is %#x, bits 17 and 18 must be set", enabled)
	}
	return request()
}

// xcr0 returns the register whose bits say which state the operating system saves. The
// CPU must have XGETBV, as every CPU with AVX does.
func xcr0() uint64
