package redis

// The scripts of a lease. KEYS[1] is the key of the lease, ARGV[1] the token of a holder.
// Both change the key only if it still has this token, and return 1 if it has.
const (
	// RenewLease makes the lease last for ARGV[2] more milliseconds.
	RenewLease = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end return 0`
	// EndLease deletes the key.
	EndLease = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`
)
