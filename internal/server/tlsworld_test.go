package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"nearside/internal/testkit"
)

// authority signs the certificates of all tests of this package.
var authority = sync.OnceValue(testkit.NewAuthority)

// serverTLS returns the TLS configuration of a server, as package certs makes it.
func serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true,
		Certificates: []tls.Certificate{serverCertificate()},
	}
}

var serverCertificate = sync.OnceValue(func() tls.Certificate { return authority().Issue().TLS() })

// clientTLS returns the TLS configuration of a client.
func clientTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority().Pool(), ServerName: "localhost", NextProtos: []string{"http/1.1"}}
}

// overTLS reports whether the servers of a test use TLS without asking for it.
func overTLS(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestOverTLS/") }

// TestOverTLS runs the tests of hostile and slow clients, of limits and of the protocol again
// with servers that use TLS.
func TestOverTLS(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"TruncatedBodies": TestTruncatedBodies, "ExpensiveBodies": TestExpensiveBodies, "DeclaredSizes": TestDeclaredSizes, "UnreadBody": TestUnreadBody, "TextsRoundTrip": TestTextsRoundTrip,
		"DeclaredBodies": TestDeclaredBodies, "SlowBodies": TestSlowBodies, "SlowLines": TestSlowLines, "SlowHeads": TestSlowHeads, "UnreadAnswers": TestUnreadAnswers, "Aborted": TestAborted,
		"BodiesWaitForRoom": TestBodiesWaitForRoom, "BodyWaits": TestBodyWaits, "AnswersWaitForRoom": TestAnswersWaitForRoom, "AnswerIsHeldUntilSent": TestAnswerIsHeldUntilSent,
		"Connections": TestConnections, "IdleConnectionIsClosed": TestIdleConnectionIsClosed, "UnfinishedHeaderIsClosed": TestUnfinishedHeaderIsClosed, "ConnectionsPerAddress": TestConnectionsPerAddress,
		"ExpectContinue": TestExpectContinue, "Pipelined": TestPipelined, "SkippedBody": TestSkippedBody, "SkippedChunks": TestSkippedChunks, "EmptyHost": TestEmptyHost, "StrictHTTP": TestStrictHTTP,
		"ExportToHTTP10": TestExportToHTTP10, "HeaderLimit": TestHeaderLimit, "HeadInPieces": TestHeadInPieces, "Malformed": TestMalformed,
		"Shutdown": TestShutdown, "ShutdownCut": TestShutdownCut, "ShutdownSlowReader": TestShutdownSlowReader, "ShutdownLosesNothing": TestShutdownLosesNothing,
		"ConcurrentClients": TestConcurrentClients, "AnswersAreWhole": TestAnswersAreWhole,
		"ImportErrors": TestImportErrors, "ImportOfBrokenConnection": TestImportOfBrokenConnection, "ImportStreams": TestImportStreams,
		"CompressedBodies": TestCompressedBodies, "CompressedImports": TestCompressedImports, "CompressedAnswers": TestCompressedAnswers, "Bombs": TestBombs,
		"SlowCompressedBodies": TestSlowCompressedBodies, "SlowCompressedImports": TestSlowCompressedImports, "BufferedImport": TestBufferedImport,
		"LinesOfMatch": TestLinesOfMatch, "UnreadLines": TestUnreadLines, "ConnectionsWhileStarting": TestConnectionsWhileStarting,
	} {
		if testkit.RaceEnabled && slices.Contains(muchData, name) {
			continue
		}
		t.Run(name, test)
	}
}

// muchData are tests with few clients and much data. They take minutes under the race
// detector, which finds more in the others.
var muchData = []string{
	"TextsRoundTrip", "ExpensiveBodies", "DeclaredSizes", "Malformed", "Bombs", "SlowCompressedBodies",
	"CompressedBodies", "CompressedImports", "CompressedAnswers", "AnswersAreWhole", "UnreadAnswers", "UnreadLines", "TruncatedBodies",
}

// setTLS changes the configuration of new connections.
func (s *settings) setTLS(c *tls.Config) { s.currentTLS.Store(c) }

// trust makes the client use a configuration.
func (x *service) trust(c *tls.Config) {
	x.secure = c
	x.client.Transport.(*http.Transport).TLSClientConfig = c
}

// url returns the URL of a path.
func (x *service) url(path string) string {
	if x.secure != nil {
		return "https://" + x.address + path
	}
	return "http://" + x.address + path
}

// dialFrom is dial with a dialer.
func (x *service) dialFrom(d *net.Dialer) *raw {
	x.Helper()
	c, err := d.DialContext(context.Background(), "tcp", x.address)
	if err != nil {
		x.Fatal(err)
	}
	if x.secure != nil {
		secured := tls.Client(c, x.secure)
		if err := secured.Handshake(); err != nil {
			x.Fatal(err)
		}
		c = secured
	}
	x.Cleanup(func() { c.Close() })
	return newRaw(x, c)
}

// tcp returns the TCP connection of r.
func (r *raw) tcp() *net.TCPConn {
	if secured, ok := r.Conn.(*tls.Conn); ok {
		return secured.NetConn().(*net.TCPConn)
	}
	return r.Conn.(*net.TCPConn)
}
