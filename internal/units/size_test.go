package units

import "testing"

func TestSize(t *testing.T) {
	read := func(text string, want int64) {
		t.Helper()
		if got, ok := ParseSize(text); got != want || !ok {
			t.Errorf("%q: %d %v, want %d", text, got, ok, want)
		}
	}
	read("0", 0)
	read("17", 17)
	read("17B", 17)
	read("64MiB", 64<<20)
	read("64 MiB", 64<<20)
	read("3TiB", 3<<40)
	read("2kB", 2000)
	read("2KB", 2000)
	read("4194304TiB", 1<<62)
	refuse := func(text string) {
		t.Helper()
		if got, ok := ParseSize(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
	refuse("")
	refuse("MiB")
	refuse("-1")
	refuse("1.5GiB")
	refuse("1mib")
	refuse("4194305TiB") // above 2^62
	refuse("9223372036854775807")

	write := func(bytes int64, want string) {
		t.Helper()
		if got, ok := FormatSize(bytes); got != want || ok != (want != "") {
			t.Errorf("%d: %q %v, want %q", bytes, got, ok, want)
		}
	}
	write(0, "")
	write(1000, "")
	write(1536, "")
	write(2048, "2KiB")
	write(5<<30, "5GiB")
}
