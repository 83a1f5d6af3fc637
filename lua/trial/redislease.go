package trial

import (
	"strings"

	"nearside/lua/ns/redis"
)

// evalLease runs the scripts of leases. known is false for other scripts.
func (d *redisDouble) evalLease(args []string) (reply any, known bool) {
	if len(args) < 4 || args[0] != redis.RenewLease && args[0] != redis.EndLease {
		return nil, false
	}
	key, token := args[2], args[3]
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.data.text(key) != any(token) {
		return int64(0), true
	}
	name, rest := "DEL", []string{key}
	if args[0] == redis.RenewLease {
		name, rest = "PEXPIRE", []string{key, strings.Join(args[4:], "")}
	}
	reply, err := d.runLocked(name, rest)
	return reply, err == nil
}
