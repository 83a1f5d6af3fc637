package oracle

import (
	"encoding/binary"
	"math"
	"strings"
)

// numbers returns the descriptor with an array of numbers, as in answers: a number of a
// float version is the float32 itself.
func (v *vector) numbers() map[string]any {
	list := []any{}
	for i := range v.length {
		if v.metric == 'b' {
			list = append(list, float64(v.data[i]))
		} else {
			list = append(list, v.float(i))
		}
	}
	return map[string]any{"version": float64(v.number), "data": list}
}

// spelledNumbers is numbers as in a body: some numbers are not float32, but near one.
func (w *World) spelledNumbers(v *vector) map[string]any {
	d := v.numbers()
	list := d["data"].([]any)
	for i, n := range list {
		if v.metric != 'b' && n != 0.0 && w.Chance(0.3) {
			list[i] = w.near(n.(float64))
		}
	}
	return d
}

// spelled returns the descriptor as in a body.
func (w *World) spelled(v *vector) map[string]any {
	if w.Chance(0.12) {
		w.Seen["numbers in a body"]++
		return w.spelledNumbers(v)
	}
	return v.json()
}

// dataOf returns the data of an array of numbers for a version.
func (m *model) dataOf(numbers []any) (data []byte) {
	for _, n := range numbers {
		if m.metric == 'b' {
			data = append(data, byte(n.(float64)))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(n.(float64))))
		}
	}
	return data
}

// withNumbers replaces the descriptors of an answer by arrays of numbers if r asks for that.
func (o *object) withNumbers(fields map[string]any, r *Request) map[string]any {
	if r.Query["descriptor"] != "numbers" {
		return fields
	}
	for name := range fields {
		if !strings.HasSuffix(name, "descriptor") {
			continue
		}
		for _, v := range o.vectors {
			if v != nil && fields[name].(map[string]any)["version"] == float64(v.number) {
				fields[name] = v.numbers()
			}
		}
	}
	return fields
}

// roundNumbers rounds the numbers of a descriptor in an answer to float32. In JSON, their
// decimal digits are those of the shortest text.
func roundNumbers(v map[string]any) {
	list, ok := v["data"].([]any)
	if _, versioned := v["version"]; !ok || !versioned {
		return
	}
	for i, n := range list {
		if f, ok := n.(float64); ok {
			list[i] = float64(float32(f))
		}
	}
}
