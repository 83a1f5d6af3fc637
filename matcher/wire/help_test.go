package wire

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

var (
	idA = matcher.MustID("0a000000-0000-4000-8000-00000000000a")
	idB = matcher.MustID("0b000000-0000-4000-8000-00000000000b")
	now = time.Date(2026, 5, 31, 12, 0, 0, 0, time.UTC)
)

// newDecoder returns a decoder with three short versions besides the built-in
// ones: 1001 has 4 bytes, 2001 has 2 floats under cosine, 3001 has 4 bytes and
// type body.
func newDecoder(t testing.TB) *Decoder {
	t.Helper()
	r, err := matcher.NewRegistry([]matcher.Version{
		{Number: 1001, Length: 4, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}},
		{
			Number: 2001, Encoding: matcher.Float32, Metric: matcher.Cosine, Length: 2,
			Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1},
		},
		{Number: 3001, Type: matcher.BodyDescriptor, Length: 4, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Decoder{
		Registry: r,
		Limits:   Limits{References: 3, Candidates: 2, RawCandidates: 4, Result: 100, Offset: 50, FilterValues: 5},
		Now:      func() time.Time { return now },
		MetaFields: []matcher.MetaField{
			{Path: "shop.floor", Type: matcher.MetaNumber}, {Path: "shop.name", Type: matcher.MetaString}, {Path: "vip", Type: matcher.MetaBoolean},
		},
	}
}

// sdkForm returns an SDK descriptor in base64: "dp\0\0", the version, the data.
func sdkForm(version uint32, data ...byte) string {
	return base64Of(append(binary.LittleEndian.AppendUint32([]byte("dp\x00\x00"), version), data...)...)
}

func base64Of(b ...byte) string { return base64.StdEncoding.EncodeToString(b) }

func floats(fs ...float32) string {
	var b []byte
	for _, f := range fs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return base64Of(b...)
}

// pack appends v in MessagePack with sorted keys. It is independent of Writer.
func pack(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = pack(msgp.AppendString(b, key), v[key])
		}
		return b
	case []any:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, x := range v {
			b = pack(b, x)
		}
		return b
	case json.Number:
		n := numberNode(string(v)) // not independent; TestFormatsAgree compares the values
		switch n.kind {
		case kindInt:
			return msgp.AppendInt64(b, int64(n.num))
		case kindUint:
			return msgp.AppendUint64(b, n.num)
		}
		return msgp.AppendFloat64(b, math.Float64frombits(n.num))
	}
	b, err := msgp.AppendIntf(b, v)
	if err != nil {
		panic(err)
	}
	return b
}

// transcode turns a JSON document into MessagePack. Integers stay integers, and
// other numbers stay floats. It fails if encoding/json cannot read the document.
func transcode(doc []byte) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(string(doc)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return pack(nil, v), nil
}

// refused checks that err has that code and contains detail.
func refused(t *testing.T, err error, code matcher.Code, detail string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted; want %d %q", code, detail)
		return
	}
	if matcher.CodeOf(err) != code || !strings.Contains(err.Error(), detail) {
		t.Errorf("%d %q\nwant %d %q", matcher.CodeOf(err), err, code, detail)
	}
	if len(err.Error()) > 500 {
		t.Errorf("the detail has %d bytes", len(err.Error()))
	}
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, n)) }

// sameField compares plain fields by address, because each of them exists only once.
var sameField = cmp.Comparer(func(a, b *matcher.Field) bool { return a == b })

// fieldAt returns the plain field of events at path.
func fieldAt(path string) *matcher.Field {
	all := matcher.Fields(matcher.Events)
	return all[slices.IndexFunc(all, func(f *matcher.Field) bool { return f.Path() == path })]
}
