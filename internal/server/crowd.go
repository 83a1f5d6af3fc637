package server

import (
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// connectionsWanted is the most connections that are open at once, if the
	// process may have twice as many files.
	connectionsWanted = 16384
	// turnedAwayMax is how many of those beyond are told why with care: so that
	// the answer arrives also when the client is still sending.
	turnedAwayMax = 256
)

// connectionsMax leaves half of the files of the process to others.
func connectionsMax() int64 {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return connectionsWanted
	}
	return int64(min(connectionsWanted, files.Cur/2))
}

// turnAway answers a connection that is one too many, and closes it. It does
// not wait for it.
func (l *listener) turnAway(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed: // nobody would wait for what follows
		c.cut()
		return
	default:
	}
	if len(l.away) >= turnedAwayMax {
		_ = c.refuse(http.StatusServiceUnavailable, nil) // goes into the empty buffer of the connection
		c.cut()
		return
	}
	l.away[c] = struct{}{}
	l.turnedAway.Go(func() {
		_ = c.SetReadDeadline(time.Now().Add(lingerMax))
		_, _ = c.Conn.Read(make([]byte, 1)) // clients take no answer to what they have not asked
		_ = c.refuse(http.StatusServiceUnavailable, nil)
		c.done()
	})
}
