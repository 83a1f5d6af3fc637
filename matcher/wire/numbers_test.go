package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

func TestNumbersRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.data(`{"version":1001,"data":[1,2,3]}`, `.data: version 1001 needs 4 numbers, got 3`)
	r.data(`{"version":1001,"data":[]}`, `.data: version 1001 needs 4 numbers, got 0`)
	r.data(`{"data":[1,2,3,4,5],"version":1001}`, `.data: version 1001 needs 4 numbers, got 5`)
	r.data(`{"version":1001,"data":[1,2,3,1.5]}`, `.data[3]: must be an integer from 0 to 255, got 1.5`)
	r.data(`{"version":1001,"data":[256,2,3,4]}`, `.data[0]: must be an integer from 0 to 255, got 256`)
	r.data(`{"version":1001,"data":[1,-1,3,4]}`, `.data[1]: must be an integer from 0 to 255, got -1`)
	r.data(`{"version":1001,"data":[1,2,"3",4]}`, `.data[2]: must be an integer from 0 to 255, got "3"`)
	r.data(`{"version":1001,"data":[1,2,null,4]}`, `.data[2]: must be an integer from 0 to 255, got null`)
	r.data(`{"version":2001,"data":[1,3.5e38]}`, `.data[1]: must be a finite number within the range of float32, got 3.5e+38`)
	r.data(`{"version":2001,"data":[-1e39,1]}`, `.data[0]: must be a finite number within the range of float32, got -1e+39`)
	r.data(`{"version":2001,"data":[1,true]}`, `.data[1]: must be a number, got true`)
	r.data(`{"version":2001,"data":[0,0]}`, `.data: must not be a zero vector under cosine`)
	r.data(`{"version":2001,"data":[1e-50,-0.0]}`, `.data: must not be a zero vector under cosine`)
	r.data(`{"data":[1,2]}`, `.version: is missing`)
	r.check(matchBody(`{"type":"raw_descriptor","data":{"version":77,"data":[1,"x"]}}`, faces), matcher.CodeUnknownVersion, "references[0].data.version: 77 is not registered")

	// JSON has neither of these.
	for text, f := range map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)} {
		body := msgp.AppendMapHeader(nil, 2)
		body = msgp.AppendString(body, "references")
		body = msgp.AppendArrayHeader(body, 1)
		body = msgp.AppendMapHeader(body, 2)
		body = msgp.AppendString(msgp.AppendString(body, "type"), "raw_descriptor")
		body = msgp.AppendMapHeader(msgp.AppendString(body, "data"), 2)
		body = msgp.AppendInt(msgp.AppendString(body, "version"), 2001)
		body = msgp.AppendArrayHeader(msgp.AppendString(body, "data"), 2)
		body = msgp.AppendFloat32(msgp.AppendFloat64(body, 1), float32(f))
		body = msgp.AppendInt(msgp.AppendString(body, "candidates"), 0)
		_, err := r.d.Match(MessagePack, body, matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, "references[0].data.data[1]: must be a finite number within the range of float32, got "+text)
	}
}

// TestNumbersRead compares descriptors of numbers with the same ones as bytes. strconv
// knows the nearest float32.
func TestNumbersRead(t *testing.T) {
	d := newDecoder(t)
	read := func(version int, list string) matcher.Descriptor {
		t.Helper()
		var got matcher.Descriptor
		for _, err := range bothFormats(t, fmt.Sprintf(`{"descriptor":{"version":%d,"data":[%s]}}`, version, list), func(f Format, body []byte) error {
			in, err := d.Object(matcher.Faces, f, body)
			if err == nil {
				got = in.Object.Descriptors[matcher.FaceDescriptor]
			}
			return err
		}) {
			if err != nil {
				t.Fatal(list, err)
			}
		}
		return got
	}
	if got := read(1001, "0, 255,1.0,2e1"); !bytes.Equal(got.Data, []byte{0, 255, 1, 20}) || got.Version != 1001 {
		t.Errorf("%v", got)
	}
	// As float64, the integer is in the middle between two float32, and the even one is below it.
	want := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1<<53))
	for _, text := range []string{"9007199791611905", "9007199791611905.0"} {
		if got := read(2001, text+",1"); !bytes.Equal(got.Data[:4], want) {
			t.Errorf("%s: %x, want %x", text, got.Data[:4], want)
		}
	}
	r := seeded(3)
	numbers := []float64{
		0.1, -0.1, 1, 16777217, 1e-45, 1.4e-45, 0.7e-45, math.MaxFloat32, -math.MaxFloat32, 3.4028235e38, 1 << 53, 1 << 62, 1<<63 + 1<<40,
		1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-50, 1 + 0x3p-24,
	}
	for range 3000 {
		numbers = append(numbers, math.Ldexp(r.NormFloat64(), r.IntN(250)-150))
	}
	for _, n := range numbers {
		nearest := float32(n)
		if math.IsInf(float64(nearest), 0) {
			continue
		}
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		want := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(nearest)), math.Float32bits(1))
		if got := read(2001, string(text)+",1"); !bytes.Equal(got.Data, want) {
			t.Errorf("%s: % x, want % x", text, got.Data, want)
		}
	}
}

// TestNumbersWritten checks that descriptors as numbers read back to the same bytes, in
// both formats, and that their text is as short as that of encoding/json.
func TestNumbersWritten(t *testing.T) {
	d := newDecoder(t)
	form := NumberDescriptors(d.Registry)
	r := seeded(4)
	values := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.1, 16777216, 123456789, 1e20, 1e21, 1e-7, 1e-45, math.MaxFloat32}
	for range 3000 {
		f := math.Float32frombits(r.Uint32())
		if !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) {
			values = append(values, f)
		}
	}
	for _, f := range values {
		data := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(f)), math.Float32bits(1))
		obj := &matcher.Object{ID: idA}
		obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 2001, Data: data}
		for _, format := range []Format{JSON, MessagePack} {
			text := AppendObject(nil, format, obj, nil, form)
			in, err := d.Object(matcher.Faces, format, text)
			if err != nil || !bytes.Equal(in.Object.Descriptors[matcher.FaceDescriptor].Data, data) {
				t.Fatalf("%v: %v: %q %v", f, format, text, err)
			}
		}
		var line struct {
			Descriptor struct{ Data [2]json.RawMessage }
		}
		text := AppendLine(nil, obj, nil, form)
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		shortest, _ := json.Marshal(f)
		if got := string(line.Descriptor.Data[0]); digitsOf(got) > digitsOf(string(shortest)) {
			t.Errorf("%s has more digits than %s", got, shortest)
		}
	}

	obj := &matcher.Object{ID: idA}
	obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1001, Data: []byte{0, 1, 128, 255}}
	golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, obj, []string{}, form) },
		`{"face_id":`+textA+`,"descriptor":{"version":1001,"data":[0,1,128,255]}}`)
	obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 77, Data: []byte{1, 2, 3}}
	if got := string(AppendObject(nil, JSON, obj, []string{}, form)); !strings.Contains(got, `{"version":77,"data":"AQID"}`) {
		t.Errorf("a version that is not registered: %s", got)
	}
}

// digitsOf counts the significant digits of a number.
func digitsOf(text string) int {
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa = strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(mantissa), "0")
	return len(strings.TrimRight(mantissa, "0"))
}

// TestNumbersRequest: raw matches, PATCH and lines of imports read numbers too.
func TestNumbersRequest(t *testing.T) {
	d := newDecoder(t)
	want := matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, 4}}
	const data = `{"version":1001,"data":[1,2.0,3,4]}`
	bothFormats(t, `{"references":[{"type":"raw_descriptor","data":`+data+`}],"candidates":[{"type":"raw_descriptor","data":`+data+`}]}`, func(f Format, body []byte) error {
		req, err := d.Raw(f, body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]matcher.Descriptor{want, want}, []matcher.Descriptor{req.References[0].Descriptor, req.Candidates[0].Descriptor}); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	line := `{"face_id":` + textA + `,"descriptor":` + data + `}`
	for _, text := range []string{line, strings.Replace(line, textA, `"\u0030`+textA[2:], 1)} { // with and without escapes
		in, err := d.Lines(matcher.Faces).Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, in.Object.Descriptors[matcher.FaceDescriptor]); diff != "" {
			t.Error(diff)
		}
	}
	// A line with more numbers than plainNodesMax.
	long := matcher.Version{Number: 4001, Length: matcher.LengthMax, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}
	registry, err := matcher.NewRegistry([]matcher.Version{long})
	if err != nil {
		t.Fatal(err)
	}
	d.Registry = registry
	in, err := d.Lines(matcher.Faces).Decode([]byte(`{"descriptor":{"version":4001,"data":[` + strings.Repeat("0.5,", long.Length-1) + `0.5]}}`))
	if err != nil || !bytes.Equal(in.Object.Descriptors[matcher.FaceDescriptor].Data, bytes.Repeat([]byte{0, 0, 0, 0x3f}, long.Length)) {
		t.Errorf("a long line: %v", err)
	}
}
