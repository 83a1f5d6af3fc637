//go:build amd64 && !purego

package simd

import (
	"fmt"
	"syscall"
)

const (
	archReqXcompPerm = 0x1023 // ARCH_REQ_XCOMP_PERM: permits a state for the whole process; 0x1022 only asks
	xtileData        = 18     // the state of the tile registers
)

// requestTiles asks Linux to let this process use tiles. Linux gives a process more
// room for its registers then, and checks that its signal stacks are large enough.
func requestTiles() error {
	if _, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, xtileData, 0); err != 0 {
		return fmt.Errorf("no tile registers from Linux: arch_prctl(%#x, %d): %w", archReqXcompPerm, xtileData, err)
	}
	return nil
}
