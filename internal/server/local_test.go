package server_test

import "testing"

// TestForeignPages checks that a server without keys refuses requests that a browser on its
// machine sends for a foreign page, and answers its own pages and other clients.
func TestForeignPages(t *testing.T) {
	x := start(t)
	ask := func(host, origin string) *answer {
		t.Helper()
		request := "DELETE /1/faces HTTP/1.1\r\nHost: " + host + "\r\n"
		if origin != "" {
			request += "Origin: " + origin + "\r\n"
		}
		return x.dial().write(request + "Content-Type: text/plain\r\nConnection: close\r\n\r\n").answer(host + " " + origin)
	}
	for _, c := range [][2]string{
		{"localhost:5110", ""},
		{"LOCALHOST", ""},
		{"localhost.", ""},
		{"nearside.localhost:1", ""},
		{"127.0.0.1:5110", ""},
		{"127.0.0.1", ""},
		{"[::1]:5110", ""},
		{"[::1]", ""},
		{"10.1.2.3", ""},
		{"", ""},
		{"localhost:5110", "http://localhost:5110"},
		{"127.0.0.1:5110", "http://127.0.0.1:5110"},
		{"127.0.0.1:5110", "http://localhost:3000"},
		{"[::1]:5110", "http://[::1]:5110"},
		{"10.1.2.3", "https://10.1.2.3"},
	} {
		ask(c[0], c[1]).fault(12022) // admitted: DELETE needs a filter
	}
	for _, host := range []string{"evil.example", "evil.example:5110", "localhost.evil.example", "127.0.0.1.evil.example:80", "x", "notlocalhost"} {
		ask(host, "").status(403).fault(12026, "Host", host)
	}
	for _, origin := range []string{
		"http://evil.example", "https://evil.example:5110", "null", "http://localhost.evil.example", "http://10.1.2.3", "file://", "http://", "chrome-extension://abc", "http://localhost@evil.example",
	} {
		ask("127.0.0.1:5110", origin).status(403).fault(12026, "Origin", origin)
	}
	insecure := start(t, func(s *settings) { s.insecure = true })
	insecure.dial().write("GET /livez HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n").answer("insecure").status(200)
}
