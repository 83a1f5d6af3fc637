package ns

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKVIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := NewKV(func() time.Time { return now })
	for i := range maxKeys {
		if err := s.Set(strconv.Itoa(i), true, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set("one more", true, 0); err == nil {
		t.Error("more keys than allowed")
	}
	if err := s.Set("5", false, time.Second); err != nil {
		t.Errorf("replacing a value: %v", err)
	}
	now = now.Add(time.Minute) // all entries expire and make room
	if err := s.Set("one more", true, 0); err != nil {
		t.Error(err)
	}
	if err := s.Set("big", strings.Repeat("x", maxKVBytes), 0); err == nil {
		t.Error("more bytes than allowed")
	}
	s.sweep()
	s.remove("one more")
	if s.bytes != 0 || len(s.keys) != 0 {
		t.Errorf("%d keys with %d bytes are left", len(s.keys), s.bytes)
	}
}
