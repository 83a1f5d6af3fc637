package config

import (
	"errors"
	"math"
	"time"

	"nearside/internal/access"
	"nearside/lua"
	"nearside/matcher"
)

// setting connects a key with the field that it sets.
type setting struct {
	key      string // path in the file, parts joined by dots
	required bool   // only for keys of records
	live     bool   // whether a reload applies it; false: it needs a restart
	value    value
}

// countMax bounds the counts in limits. Above it, one request could need more
// memory than any machine has.
const countMax = 100_000_000

// retention is the kind of the time that data are kept.
var retention = duration(0, 100*365*day)

// resultMax is the largest value of limits.result.
const resultMax = 1_000_000

// settings returns all keys in the order of docs/nearside.yaml.
func (c *Config) settings() []setting {
	return []setting{
		{key: "listen", value: as(&c.Listen, address)},
		{key: "insecure", value: as(&c.Insecure, boolean)},
		{key: "tls.cert_file", live: true, value: as(&c.TLS.CertFile, optionalPath)},
		{key: "tls.key_file", live: true, value: as(&c.TLS.KeyFile, optionalPath)},
		{key: "tls.client_ca_file", live: true, value: as(&c.TLS.ClientCAFile, optionalPath)},
		{key: "trusted_proxies", live: true, value: as(&c.TrustedProxies, listOf(network))},
		{key: "data_dir", value: as(&c.DataDir, nonEmpty)},
		{key: "workers", value: as(&c.Workers, count(0, 1024))},
		{key: "simd", value: as(&c.SIMD, choice("auto", "generic", "avx2", "avxvnni", "avx512", "amx", "neon", "neon-dotprod", "neon-i8mm"))},
		{key: "descriptors.versions", value: as(&c.Descriptors.Versions, listOf(versionKind))},
		{key: "faces.retention", live: true, value: as(&c.Faces.Retention, retention)},
		{key: "events.retention", live: true, value: as(&c.Events.Retention, retention)},
		{key: "events.meta_fields", value: as(&c.Events.MetaFields, listOf(record(matcher.MetaField{}, metaFieldSettings)))},
		{key: "lists.retention", live: true, value: as(&c.Lists.Retention, mapOf(retention))},
		{key: "plugins.dir", live: true, value: as(&c.Plugins.Dir, nonEmpty)},
		{key: "plugins.active", live: true, value: as(&c.Plugins.Active, pluginList)},
		{key: "plugins.settings", live: true, value: as(&c.Plugins.Settings, freeMap)},
		{key: "plugins.override", live: true, value: as(&c.Plugins.Override, mapOf(optional(record(lua.Override{}, overrideSettings))))},
		{key: "plugins.watch", value: as(&c.Plugins.Watch, boolean)},
		{key: "matchers.memory.cost", value: as(&c.Matchers.Memory.Cost, number(0, math.MaxFloat64))},
		{key: "matchers.remote", live: true, value: as(&c.Matchers.Remote, listOf(record(defaultRemote, remoteSettings)))},
		{key: "limits.body_bytes", live: true, value: as(&c.Limits.BodyBytes, size(1<<10, 1<<40))},
		{key: "limits.line_bytes", live: true, value: as(&c.Limits.LineBytes, size(1<<10, 1<<30))},
		{key: "limits.header_bytes", live: true, value: as(&c.Limits.HeaderBytes, size(1<<10, 1<<20))},
		{key: "limits.connections_per_address", live: true, value: as(&c.Limits.ConnectionsPerAddress, count(1, countMax))},
		{key: "limits.references", live: true, value: as(&c.Limits.References, count(1, countMax))},
		{key: "limits.candidates", live: true, value: as(&c.Limits.Candidates, count(1, countMax))},
		{key: "limits.raw_candidates", live: true, value: as(&c.Limits.RawCandidates, count(1, countMax))},
		{key: "limits.result", live: true, value: as(&c.Limits.Result, count(1, resultMax))},
		{key: "limits.offset", live: true, value: as(&c.Limits.Offset, count(0, countMax))},
		{key: "limits.filter_values", live: true, value: as(&c.Limits.FilterValues, count(1, countMax))},
		{key: "limits.cross_match", live: true, value: as(&c.Limits.CrossMatch, count(1, countMax))},
		{key: "limits.memory", live: true, value: as(&c.Limits.Memory, size(0, 1<<50))},
		{key: "limits.process_memory", live: true, value: as(&c.Limits.ProcessMemory, size(0, 1<<50))},
		{key: "limits.request_timeout", live: true, value: as(&c.Limits.RequestTimeout, duration(time.Millisecond, day))},
		{key: "limits.shutdown_timeout", live: true, value: as(&c.Limits.ShutdownTimeout, duration(0, day))},
		{key: "log.level", live: true, value: as(&c.Log.Level, level)},
		{key: "log.format", value: as(&c.Log.Format, choice("text", "json", "auto"))},
		{key: "monitoring.service", value: as(&c.Monitoring.Service, nonEmpty)},
		{key: "snapshots.dir", value: as(&c.Snapshots.Dir, optionalPath)},
		{key: "snapshots.every", value: as(&c.Snapshots.Every, duration(0, 10*365*day))},
		{key: "snapshots.keep", value: as(&c.Snapshots.Keep, count(1, 10_000))},
		{key: "access.open", live: true, value: as(&c.Access.Open, listOf(choice(access.Openable...)))},
		{key: "access.keys", live: true, value: as(&c.Access.Keys, listOf(record(access.Key{}, keySettings)))},
		{key: "access.jwt.public_key_file", live: true, value: as(&c.Access.JWT.PublicKeyFile, fileName)},
		{key: "access.jwt.jwks_file", live: true, value: as(&c.Access.JWT.JWKSFile, fileName)},
		{key: "access.jwt.secret_file", live: true, value: as(&c.Access.JWT.SecretFile, fileName)},
		{key: "access.jwt.issuer", live: true, value: as(&c.Access.JWT.Issuer, anyText)},
		{key: "access.jwt.audience", live: true, value: as(&c.Access.JWT.Audience, nonEmpty)},
		{key: "access.jwt.roles_claim", live: true, value: as(&c.Access.JWT.RolesClaim, nonEmpty)},
		{key: "access.jwt.account_claim", live: true, value: as(&c.Access.JWT.AccountClaim, nonEmpty)},
		{key: "audit.file", live: true, value: as(&c.Audit.File, optionalPath)},
		{key: "audit.key_file", live: true, value: as(&c.Audit.KeyFile, optionalPath)},
		{key: "audit.max_bytes", live: true, value: as(&c.Audit.MaxBytes, size(1<<10, 1<<40))},
		{key: "audit.keep", live: true, value: as(&c.Audit.Keep, count(0, countMax))},
		{key: "audit.match", live: true, value: as(&c.Audit.Match, boolean)},
		{key: "audit.reads", live: true, value: as(&c.Audit.Reads, boolean)},
	}
}

func metaFieldSettings(f *matcher.MetaField) []setting {
	return []setting{
		{key: "path", required: true, value: as(&f.Path, nonEmpty)},
		{key: "type", required: true, value: as(&f.Type, enum(matcher.MetaNumber, matcher.MetaString, matcher.MetaBoolean))},
	}
}

// defaultRemote has the same cost as the local matcher, so the less busy one of a
// replica and the local matcher answers.
var defaultRemote = Remote{Cost: 100, Timeout: 10 * time.Second, MaxInflight: 64}

func remoteSettings(r *Remote) []setting {
	return []setting{
		{key: "name", required: true, value: as(&r.Name, matcherName)},
		{key: "url", required: true, value: as(&r.URL, webAddress)},
		{key: "cost", value: as(&r.Cost, number(0, math.MaxFloat64))},
		{key: "timeout", value: as(&r.Timeout, duration(0, day))},
		{key: "origins", value: as(&r.Origins, listOf(origin))},
		{key: "lists", value: as(&r.Lists, listOf(id))},
		{key: "max_inflight", value: as(&r.MaxInflight, count(1, 65536))},
		{key: "key_file", value: as(&r.KeyFile, fileName)},
		{key: "ca_file", value: as(&r.CAFile, optionalPath)},
		{key: "cert_file", value: as(&r.CertFile, optionalPath)},
	}
}

// scaleDefault is the scale of the built-in uint8 versions.
const scaleDefault = 128

func versionSettings(v *matcher.Version) []setting {
	return []setting{
		{key: "number", required: true, value: as(&v.Number, versionNumber)},
		{key: "type", required: true, value: as(&v.Type, enum(matcher.FaceDescriptor, matcher.BodyDescriptor))},
		{key: "encoding", required: true, value: as(&v.Encoding, enum(matcher.Uint8, matcher.Float32))},
		{key: "length", required: true, value: as(&v.Length, count(1, matcher.LengthMax))},
		{key: "scale", value: as(&v.Scale, count(1, 1<<20))},
		{key: "metric", value: as(&v.Metric, enum(matcher.L2, matcher.Cosine))},
		{key: "exact", value: as(&v.Exact, enum(matcher.Bounded, matcher.Plain))},
		{key: "similarity", value: as(&v.Similarity, record(matcher.Calibration{}, calibrationSettings))},
	}
}

func calibrationSettings(c *matcher.Calibration) []setting {
	return []setting{
		{key: "midpoint", required: true, value: as(&c.Midpoint, number(0, math.MaxFloat64))},
		{key: "steepness", required: true, value: as(&c.Steepness, number(math.SmallestNonzeroFloat64, math.MaxFloat64))},
	}
}

// versionKind is the kind of a descriptor version, a record whose keys depend on its
// encoding.
var versionKind = func() kind[matcher.Version] {
	base := record(matcher.Version{}, versionSettings)
	return kind[matcher.Version]{
		parse: func(raw any) (matcher.Version, error) {
			v, err := base.parse(raw)
			if err != nil {
				return v, err
			}
			if v.Encoding == matcher.Uint8 && v.Scale == 0 {
				v.Scale = scaleDefault
			}
			return v, checkVersion(v)
		},
		show: func(v matcher.Version) any {
			shown := base.show(v).(map[string]any)
			if v.Encoding == matcher.Uint8 {
				delete(shown, "metric")
				delete(shown, "exact")
			} else {
				delete(shown, "scale")
			}
			if v.Similarity.IsZero() {
				delete(shown, "similarity")
			}
			return shown
		},
	}
}()

// Versions reads a list of descriptor versions in the form of [Config.Map]. Commands
// use it to read the versions of a server.
func Versions(raw any) ([]matcher.Version, error) {
	versions, err := listOf(versionKind).parse(raw)
	if err != nil {
		return nil, errors.Join(withPath("descriptors.versions", err).lines("")...)
	}
	return versions, nil
}
