// Package config reads the configuration of nearside: a YAML file, then the
// environment, then flags; later wins.
//
// A [Config] has a typed field for every key of the file. The table in
// settings.go joins each key with its field, and everything else (reading,
// names in the environment, checks of single values, printing) goes by that
// table. Reading is strict: a key that is not in the table is refused, and all
// faults are reported together, each with its path and value. A section or a
// key without a value counts as not given.
package config

import (
	"log/slog"
	"time"

	"nearside/matcher"
)

// DefaultFile is read from the working directory when no file is named.
const DefaultFile = "nearside.yaml"

// Config is what can be configured. Sizes are in bytes.
type Config struct {
	Listen      string // host:port; port 0 is a free one
	Insecure    bool   // whether other addresses than loopback may be listened on without keys
	DataDir     string
	Workers     int    // matching workers, 0 = one per core
	SIMD        string // auto, generic, avx2 or avx512
	Descriptors Descriptors
	Events      Events
	Plugins     Plugins
	Matchers    Matchers
	Limits      Limits
	Log         Log

	// File is the file that was read, "" when there was none. It is no key.
	File string
}

// Descriptors lists the versions beside the built-in ones.
type Descriptors struct {
	Versions []matcher.Version
}

// Events says how long events are kept, and which of their meta fields can be
// filtered on.
type Events struct {
	Retention  time.Duration // 0 = for ever
	MetaFields []matcher.MetaField
}

// Plugins says which plugins run, and with what settings.
type Plugins struct {
	Dir      string
	Active   []string // names without .lua, each once
	Settings map[string]any
	Watch    bool // whether a change of Dir reloads
}

// Matchers configures who answers matches.
type Matchers struct {
	Memory Memory
	Remote []Remote
}

// Memory configures the local matcher.
type Memory struct {
	Cost float64
}

// Remote is a matcher behind HTTP. With Origins or Lists it owns these.
type Remote struct {
	Name        string
	URL         string
	Cost        float64
	Timeout     time.Duration // of one call; 0 = only the request's own deadline
	Origins     []matcher.Origin
	Lists       []matcher.ID
	MaxInflight int // calls at once
}

// Limits bounds what a request may ask for.
type Limits struct {
	BodyBytes   int64
	LineBytes   int64 // of import and export
	HeaderBytes int64 // of the request line and the header
	// ConnectionsPerAddress is how many connections of one client address may
	// be open at once.
	ConnectionsPerAddress int
	References            int
	Candidates            int
	RawCandidates         int
	Result                int
	FilterValues          int
	CrossMatch            int
	Memory                int64 // of stored rows, 0 = no limit
	RequestTimeout        time.Duration
	ShutdownTimeout       time.Duration
}

// Log configures the log.
type Log struct {
	Level  slog.Level
	Format string // text, json or auto (text on a terminal)
}

// Default returns the configuration that holds without a file.
func Default() Config {
	return Config{
		Listen:  "127.0.0.1:5110",
		DataDir: "data",
		SIMD:    "auto",
		Plugins: Plugins{Dir: "plugins", Settings: map[string]any{}},
		Matchers: Matchers{
			Memory: Memory{Cost: 100},
		},
		Limits: Limits{
			BodyBytes:             64 << 20,
			LineBytes:             1 << 20,
			HeaderBytes:           64 << 10,
			ConnectionsPerAddress: 1024,
			References:            1000,
			Candidates:            100,
			RawCandidates:         10000,
			Result:                1000,
			FilterValues:          100000,
			CrossMatch:            100000,
			RequestTimeout:        60 * time.Second,
			ShutdownTimeout:       30 * time.Second,
		},
		Log: Log{Level: slog.LevelInfo, Format: "auto"},
	}
}
