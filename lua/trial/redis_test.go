package trial

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redisDialogues are commands to which the double and a real server must give the same
// replies. They specify ids and idle times, so that no reply depends on the time.
var redisDialogues = map[string]string{
	"strings": `SET a 1|GET a|INCR a|INCRBY a 41|DECR a|GET none|SET a x NX|SET n x NX|SET n y XX GET|SET o y XX|INCR n|APPEND a 0|GETDEL a|GET a
SETNX a 1|SETNX a 2|MGET a none n|TYPE a|TYPE none|EXISTS a none n|DEL a none n|SET a 1 EX x|SET a 1 EX 0|SET a 1 NOPE|SET a 9223372036854775806|INCR a`,
	"expiry":  `SET a 1 EX 100|TTL a|EXPIRE a 50|TTL a|PERSIST a|TTL a|PERSIST a|TTL none|EXPIRE none 5|SET a 1 EX 100|SET a 2|TTL a|SET a 3 PX 100000 NX|SET a 3 PX 100000 XX|TTL a|SET a 4 KEEPTTL|TTL a|EXPIRE a 0|GET a|SETEX b 7 v|TTL b|RPUSH l x|EXPIRE l 9|TTL l`,
	"hashes":  `HSET h a 1 b 2|HSET h a 3|HGET h a|HGET h none|HMGET h a none|HINCRBY h a 2|HINCRBY h b x|HSETNX h a 9|HEXISTS h a|HLEN h|HDEL h a none|HGETALL h|HDEL h b|EXISTS h|HSET h a|HGETALL none`,
	"lists":   `RPUSH l a b c|LPUSH l x y|LLEN l|LRANGE l 0 -1|LRANGE l -2 9|LRANGE l 5 1|LPOP l|RPOP l|LTRIM l 0 0|LRANGE l 0 -1|LPOP l|LPOP l|EXISTS l|LRANGE l x y`,
	"sets":    `SADD s a b|SADD s b c|SISMEMBER s a|SISMEMBER s x|SCARD s|SREM s a x|SMEMBERS none|SREM s b c|EXISTS s`,
	"types":   `SET t x|LPUSH t x|HSET t a b|SADD t x|XADD t 1-1 a b|XLEN t|XGROUP CREATE t g 0|XREADGROUP GROUP g c STREAMS t >|RPUSH l x|GET l|INCR l|MGET t l|SET l y|GET l`,
	"streams": `XADD s 5-1 a 1 b 2|XADD s 5-1 a 1|XADD s 4-9 a 1|XADD s 5-2 a 2|XADD s 6 a 3|XLEN s|XRANGE s - +|XRANGE s 5-2 +|XRANGE s (5-1 (6-0|XDEL s 5-2 9-9|XLEN s|XADD s MAXLEN 2 7-1 a 4|XRANGE s - +|XTRIM s MAXLEN 1|XTRIM s MAXLEN ~|XADD s NOMKSTREAM MAXLEN ~|XADD none NOMKSTREAM 1-1 a b|EXISTS none|XADD s 8-1 a`,
	"groups": `XREADGROUP GROUP g c STREAMS s >|XPENDING s g|XADD s 1-1 n 1|XADD s 2-1 n 2|XADD s 3-1 n 3|XREADGROUP GROUP g c STREAMS s >|XGROUP CREATE s g 0|XGROUP CREATE s g 0|XGROUP CREATE none g 0|XGROUP CREATE made g 0 MKSTREAM
XREADGROUP GROUP g c COUNT 2 STREAMS s >|XREADGROUP GROUP g d COUNT 2 STREAMS s >|XREADGROUP GROUP g d STREAMS s >|XPENDING s g|XREADGROUP GROUP g c STREAMS s 0|XREADGROUP GROUP g d STREAMS s 0|XREADGROUP GROUP g c STREAMS s 1-1
XACK s g 1-1 1-1 9-9|XACK s none 1-1|XACK none g 1-1|XPENDING s g - + 10 c|XGROUP CREATE s late $|XREADGROUP GROUP late c STREAMS s >|XADD s 4-1 n 4|XREADGROUP GROUP late c STREAMS s >|XDEL s 2-1|XREADGROUP GROUP g c STREAMS s 0|XGROUP DESTROY s g|XGROUP DESTROY s g|XPENDING s g`,
	"claims": `XADD s 1-1 n 1|XADD s 2-1 n 2|XADD s 3-1 n 3|XGROUP CREATE s g 0|XREADGROUP GROUP g c STREAMS s >|XCLAIM s g d 0 1-1|XCLAIM s g d 0 1-1 JUSTID|XCLAIM s g d 3600000 1-1|XCLAIM s g d 0 9-9|XCLAIM s g c 0 2-1 RETRYCOUNT 7 JUSTID|XPENDING s g
XCLAIM s g c 0 1-1 2-1 3-1 IDLE 7200000 JUSTID|XAUTOCLAIM s g e 3600000 0 COUNT 2|XAUTOCLAIM s g e 3600000 0|XAUTOCLAIM s g e 3600000 0 JUSTID|XCLAIM s g c 0 1-1 2-1 IDLE 7200000 JUSTID|XDEL s 1-1|XCLAIM s g f 3600000 1-1|XPENDING s g
XDEL s 2-1|XAUTOCLAIM s g f 3600000 0|XPENDING s g|XCLAIM s none c 0 1-1|XCLAIM none g c 0 1-1|XAUTOCLAIM s none c 0 0|XCLAIM s g c x 1-1`,
}

// idleTime matches the idle time, the third field of an entry of XPENDING.
var idleTime = regexp.MustCompile(`(\d+-\d+ \w+) \d+ (\d+)\]`)

// shownReply returns a reply as text for the comparison. It keeps only the first word of
// errors, ignores idle times, and sorts hashes and sets.
func shownReply(command string, reply any, err error) string {
	switch {
	case errors.Is(err, goredis.Nil) || err == nil && reply == nil:
		return "nil"
	case err != nil:
		word, _, _ := strings.Cut(err.Error(), " ")
		return "error " + word
	}
	text := idleTime.ReplaceAllString(fmt.Sprint(reply), "$1 - $2]")
	if strings.HasPrefix(command, "HGETALL") || strings.HasPrefix(command, "SMEMBERS") {
		parts := strings.Fields(strings.Trim(text, "[]"))
		slices.Sort(parts)
		return fmt.Sprint(parts)
	}
	return text
}

// TestRedisDoubleMatchesTheServer checks that the double gives the same replies as a real
// server.
func TestRedisDoubleMatchesTheServer(t *testing.T) {
	s := redisClient(t)
	for name, dialogue := range redisDialogues {
		s.FlushAll(t.Context())
		d := newRedisDouble(newClock())
		for _, command := range strings.FieldsFunc(dialogue, func(r rune) bool { return r == '|' || r == '\n' }) {
			var parts []any
			for part := range strings.FieldsSeq(command) {
				parts = append(parts, part)
			}
			reply, err := s.Do(t.Context(), parts...).Result()
			want := shownReply(command, reply, err)
			reply, err = d.runCommand(t.Context(), parts...)
			if got := shownReply(command, reply, err); got != want {
				t.Errorf("%s: %s: got %s, the server replies %s", name, command, got, want)
			}
		}
	}
}

// TestRedisDoubleExpires checks that times to live follow the clock of the test.
func TestRedisDoubleExpires(t *testing.T) {
	clock := newClock()
	d := newRedisDouble(clock)
	do := func(command string) string {
		var parts []any
		for part := range strings.FieldsSeq(command) {
			parts = append(parts, part)
		}
		reply, err := d.runCommand(t.Context(), parts...)
		return shownReply(command, reply, err)
	}
	do("SET a 1 PX 1500")
	do("SET lock me NX EX 10")
	advance := func(d time.Duration) {
		if err := clock.advance(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	advance(time.Second)
	if ttl, lock := do("PTTL a"), do("SET lock you NX EX 10"); ttl != "500" || lock != "nil" {
		t.Errorf("after 1 s: PTTL %s, SET NX %s; want 500 and nil", ttl, lock)
	}
	advance(500 * time.Millisecond)
	if value, ttl := do("GET a"), do("TTL a"); value != "nil" || ttl != "-2" {
		t.Errorf("after 1.5 s: GET %s, TTL %s; want nil and -2", value, ttl)
	}
	advance(9 * time.Second)
	if got := do("SET lock you NX EX 10"); got != "OK" {
		t.Errorf("after 10.5 s: SET NX %s, want OK", got)
	}
}
