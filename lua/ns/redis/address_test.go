package redis

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		a, err := ParseAddress(text)
		got := fmt.Sprintf("%s %s %q %d %q %v", a.Scheme, a.User, a.All, a.Database, a.master, a.cluster)
		if err != nil {
			got = "error " + err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	f("redis://h", `redis  ["h:6379"] 0 "" false`)
	f("rediss://u:p@h:1/2", `rediss u ["h:1"] 2 "" false`)
	f("redis://u:p@h:1/2?master_name=m&addr=i:2&addr=j", `redis u ["h:1" "i:2" "j:6379"] 2 "m" false`)
	f("redis://h?cluster=true&addr=i:2", `redis  ["h:6379" "i:2"] 0 "" true`)
	f("redis://h/1?cluster=true", "error a cluster has only database 0")
	f("redis://h?addr=i", "error the url is not of the form")
	f("redis://h?master_name=m&cluster=true", "error the url is not of the form")
	f("redis://h?a=b", "error the url is not of the form")
	f("redis://h?cluster=true&addr=:0", "error addr: ")
	f("redis://h/x", "error the url's path")
}
