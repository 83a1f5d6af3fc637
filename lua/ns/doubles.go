package ns

import (
	"math/rand/v2"
	"net/http"
	"time"

	"nearside/lua/ns/amqp"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/lua/vm"
)

// Doubles replaces the network, the servers and other dependencies of plugins in plugin
// tests. The zero value replaces nothing. If Counter is set, the Clock of the host must
// advance only while the count is 0.
type Doubles struct {
	Counter   *peer.Counter     // nil: the goroutines of plugins are not counted
	Random    func() float64    // in [0, 1); nil: math/rand
	Transport http.RoundTripper // for ns.http; nil: the network
	Started   time.Time         // the time from which os.clock counts; zero: the start of the process

	// Redis and AMQP connect to servers; nil: connect to real servers.
	Redis func(c peer.Client, at redis.Address) (RedisClient, error)
	AMQP  func(c peer.Client, e peer.Endpoint) (AMQPClient, error)

	// Profile counts the work of the lines of all plugins. It may be nil.
	Profile *vm.Profile
	// Printed is called for each line of print, by any goroutine. It may be nil.
	Printed func(line string)
	// Failed is called for each failure of a plugin, by any goroutine. It may be
	// nil.
	Failed func(text string)
	// ShowErrors includes the text of a plugin's error in responses to clients.
	// Without it, the text is only in the log.
	ShowErrors bool
}

func (d *Doubles) random() float64 {
	if d.Random != nil {
		return d.Random()
	}
	return rand.Float64()
}

func (d *Doubles) redis(c peer.Client, at redis.Address) (RedisClient, error) {
	if d.Redis != nil {
		return d.Redis(c, at)
	}
	return redis.Connect(c, at)
}

func (d *Doubles) amqp(c peer.Client, e peer.Endpoint) (AMQPClient, error) {
	if d.AMQP != nil {
		return d.AMQP(c, e)
	}
	return amqp.Connect(c, e)
}
