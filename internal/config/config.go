// Package config reads the configuration of nearside: a YAML file, then the
// environment, then flags. Later sources override earlier ones.
//
// A [Config] has a typed field for every key of the file. The table in settings.go
// maps each key to its field. Reading, the names in the environment, the checks of
// single values and printing all use that table. Reading is strict: a key that is
// not in the table is refused. All faults are reported together, each with its path
// and value. A section or a key without a value counts as absent.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/lua"
	"nearside/matcher"
)

// DefaultFile is read from the working directory if no file is given.
const DefaultFile = "nearside.yaml"

// Config is the configuration. Sizes are in bytes.
type Config struct {
	Listen   string // host:port; port 0: any free port
	Insecure bool   // whether other machines may reach the server if Access requires no key
	TLS      TLS
	// TrustedProxies are the addresses of proxies whose header X-Forwarded-For is
	// believed.
	TrustedProxies []netip.Prefix
	DataDir        string
	Workers        int    // matching workers; 0: one per core
	SIMD           string // auto, generic, avx2, avxvnni, avx512, amx, neon, neon-dotprod or neon-i8mm
	Descriptors    Descriptors
	Faces          Faces
	Events         Events
	Lists          Lists
	Plugins        Plugins
	Matchers       Matchers
	Limits         Limits
	Log            Log
	Monitoring     Monitoring
	Access         Access
	Audit          Audit
	Snapshots      Snapshots

	// File is the path of the file that was read; empty: no file was read. It is not
	// a key.
	File string
	// Sources has the source of each key that was set. It is not a key.
	Sources Sources
}

// TLS names the PEM files of the server's certificate. A path is empty if the setting is not
// used.
type TLS struct {
	CertFile     string // the certificate and those of intermediate authorities; empty: no TLS
	KeyFile      string // the private key; empty: it is in CertFile
	ClientCAFile string // the authorities of client certificates; empty: clients need none
}

// Descriptors lists the versions in addition to the built-in ones.
type Descriptors struct {
	Versions []matcher.Version
}

// Faces configures faces.
type Faces struct {
	Retention time.Duration // how long faces are kept; 0: forever
}

// Lists configures lists.
type Lists struct {
	// Retention is how long a face stays in a list, by the ID of the list; 0: forever.
	Retention map[string]time.Duration
}

// Snapshots configures the snapshots of the data directory.
type Snapshots struct {
	Dir   string        // empty: the folder snapshots in the data directory
	Every time.Duration // how often the server makes one by itself; 0: never
	Keep  int           // how many of those are kept
}

// Events configures events.
type Events struct {
	Retention  time.Duration       // how long events are kept; 0: forever
	MetaFields []matcher.MetaField // the meta fields that filters can use
}

// Plugins configures plugins.
type Plugins struct {
	Dir      string
	Active   []string // names without .lua, each once
	Settings map[string]any
	Override map[string]*lua.Override // changes of the operator, by plugin
	Watch    bool                     // whether a change in Dir reloads the plugins
}

// Matchers configures the matchers.
type Matchers struct {
	Memory Memory
	Remote []Remote
}

// Memory configures the local matcher.
type Memory struct {
	Cost float64
}

// Remote configures a remote matcher. It owns its Origins and Lists; without them,
// it is a replica.
type Remote struct {
	Name        string
	URL         string
	Cost        float64
	Timeout     time.Duration // of one call; 0: only the request's own deadline
	Origins     []matcher.Origin
	Lists       []matcher.ID
	MaxInflight int // calls in progress at once
	// KeyFile is the path of the file with the key for the remote; empty: no key is sent.
	KeyFile  string
	CAFile   string // the authorities of the remote's certificate; empty: those of the system
	CertFile string // the certificate and private key that the remote asks for; empty: none
}

// Limits bounds requests, connections and memory.
type Limits struct {
	BodyBytes   int64
	LineBytes   int64 // of import and export
	HeaderBytes int64 // of the request line and the header together
	// ConnectionsPerAddress is the largest number of open connections of one client
	// address.
	ConnectionsPerAddress int
	References            int
	Candidates            int
	RawCandidates         int
	Result                int
	Offset                int
	FilterValues          int
	CrossMatch            int
	Memory                int64 // of stored rows; 0: no limit
	ProcessMemory         int64 // of the process; 0: 90 % of the memory of the machine or the control group
	RequestTimeout        time.Duration
	ShutdownTimeout       time.Duration
}

// Log configures the log.
type Log struct {
	Level  slog.Level
	Format string // text, json or auto (text on a terminal)
}

// Monitoring configures the monitoring points that plugins receive.
type Monitoring struct {
	Service string // the tag service of all points
}

// Access configures the keys and tokens of clients.
type Access struct {
	Open []string // what is answered without a key
	Keys []access.Key
	JWT  access.JWT
}

// Audit configures the record of who did what.
type Audit struct {
	File     string // the current file; empty: no audit
	KeyFile  string // the file with the secret of the hashes
	MaxBytes int64  // a file that would become larger is rotated
	Keep     int    // rotated files that are kept; 0: all
	Match    bool   // whether matches have lines
	Reads    bool   // whether reads of objects have lines
}

// Settings returns a in the form that package audit needs.
func (a *Audit) Settings() audit.Settings { return audit.Settings(*a) }

// AuditKeys are the keys of the section audit.
var AuditKeys = []string{"audit.file", "audit.key_file", "audit.max_bytes", "audit.keep", "audit.match", "audit.reads"}

// Config returns a in the form that package access needs.
func (a *Access) Config() access.Config {
	return access.Config{Open: a.Open, Keys: a.Keys, JWT: a.JWT}
}

// AccessKeys are the keys of the section access.
var AccessKeys = []string{
	"access.open", "access.keys", "access.jwt.public_key_file", "access.jwt.jwks_file", "access.jwt.secret_file",
	"access.jwt.issuer", "access.jwt.audience", "access.jwt.roles_claim", "access.jwt.account_claim",
}

// Required reports whether requests need a key.
func (a *Access) Required() bool {
	c := a.Config()
	return c.Required()
}

// Default returns the default configuration.
func Default() Config {
	return Config{
		Listen:  "127.0.0.1:5110",
		DataDir: "data",
		SIMD:    "auto",
		Lists:   Lists{Retention: map[string]time.Duration{}},
		Plugins: Plugins{Dir: "plugins", Settings: map[string]any{}, Override: map[string]*lua.Override{}},
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
			Offset:                100_000,
			FilterValues:          100000,
			CrossMatch:            100000,
			RequestTimeout:        60 * time.Second,
			ShutdownTimeout:       30 * time.Second,
		},
		Log:        Log{Level: slog.LevelInfo, Format: "auto"},
		Monitoring: Monitoring{Service: "nearside"},
		Snapshots:  Snapshots{Keep: 7},
		Access: Access{
			Open: []string{"livez", "readyz", "version"},
			JWT:  access.JWT{Audience: "nearside", RolesClaim: "roles", AccountClaim: "account_id"},
		},
		Audit: Audit{MaxBytes: 100 << 20, Keep: 30, Match: true},
	}
}
