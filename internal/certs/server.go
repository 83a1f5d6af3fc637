package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ServerFiles are the files of a server.
type ServerFiles struct {
	// Cert has the certificate of the server, followed by those of intermediate
	// authorities. An empty path switches TLS off.
	Cert File
	Key  File // the private key; an empty path: the key is in Cert
	// ClientCA has the authorities of client certificates. With it, every client needs a
	// certificate.
	ClientCA File
}

// FilesOf returns the files of the settings tls.cert_file, tls.key_file and
// tls.client_ca_file.
func FilesOf(cert, key, clientCA string) ServerFiles {
	return ServerFiles{File{"tls.cert_file", cert}, File{"tls.key_file", key}, File{"tls.client_ca_file", clientCA}}
}

// Server has the certificate of a server. It is safe for concurrent use.
type Server struct {
	log      *slog.Logger
	now      func() time.Time
	current  atomic.Pointer[loaded]
	failures atomic.Int64

	mu    sync.Mutex // held while files are read
	files ServerFiles
	wrong wrongFiles
}

// loaded is the result of reading the files.
type loaded struct {
	contents contents
	config   *tls.Config // nil: TLS is off
	notAfter time.Time   // when the certificate of the server expires
}

// NewServer returns a Server without TLS.
func NewServer(log *slog.Logger) *Server {
	s := &Server{log: log, now: time.Now}
	s.current.Store(&loaded{})
	return s
}

// Config returns the configuration for the next connection; nil: TLS is off. The caller must
// not change it.
func (s *Server) Config() *tls.Config { return s.current.Load().config }

// NotAfter returns the time at which the certificate expires. It is zero if TLS is off.
func (s *Server) NotAfter() time.Time { return s.current.Load().notAfter }

// Failures returns how often new files were not used because they were wrong.
func (s *Server) Failures() int64 { return s.failures.Load() }

// Configure reads files. After an error, which names the setting and the file, s is
// unchanged. A certificate that is not valid now is used, with a warning, because a server
// that does not start helps nobody.
func (s *Server) Configure(files ServerFiles) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := loadServer(files)
	if err != nil {
		return err
	}
	if next.config != nil {
		if err := checkTime(files.Cert, next.config.Certificates[0].Leaf, s.now()); err != nil {
			s.log.Warn("the TLS certificate is not valid; clients will refuse it", "error", err)
		}
	}
	s.files, s.wrong = files, wrongFiles{}
	s.current.Store(next)
	return nil
}

// Check returns the error that Configure would return.
func Check(files ServerFiles) error {
	_, err := loadServer(files)
	return err
}

// expirySoon is the time before the end of a certificate in which CheckTime reports it.
const expirySoon = 14 * 24 * time.Hour

// CheckTime returns an error if the certificate is not valid at a time, or not much longer.
// It returns nil for files that cannot be used.
func CheckTime(files ServerFiles, now time.Time) error {
	l, err := loadServer(files)
	if err != nil || l.config == nil {
		return nil //nolint:nilerr // Check returns the error
	}
	if err := checkTime(files.Cert, l.config.Certificates[0].Leaf, now); err != nil {
		return err
	}
	if l.notAfter.Sub(now) < expirySoon {
		return files.Cert.errorf("has a certificate that expires soon, at %s", l.notAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// loadServer reads files and makes a configuration.
func loadServer(files ServerFiles) (*loaded, error) {
	if files.Cert.Path == "" {
		return &loaded{}, nil
	}
	all, err := readAll(files.Cert, files.Key, files.ClientCA)
	if err != nil {
		return nil, err
	}
	return makeServer(files, all)
}

// makeServer makes a configuration from the contents of files.
func makeServer(files ServerFiles, all contents) (*loaded, error) {
	cert, err := pair(files.Cert, files.Key, all[0], all[1])
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		// The server sends an answer as a whole, so small records at the beginning of a
		// connection only cost time.
		DynamicRecordSizingDisabled: true,
		Certificates:                []tls.Certificate{cert},
	}
	if files.ClientCA.Path != "" {
		authorities, caErr := pool(files.ClientCA, all[2])
		err = errors.Join(err, caErr)
		config.ClientCAs, config.ClientAuth = authorities, tls.RequireAndVerifyClientCert
	}
	if err != nil {
		return nil, err
	}
	return &loaded{all, config, cert.Leaf.NotAfter}, nil
}

// watchEvery is the time between two looks at the files.
const watchEvery = 5 * time.Second

// Watch reads the files again every few seconds until ctx ends.
func (s *Server) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.refresh()
		}
	}
}

// refresh uses the files if their content has changed and is good. If it is wrong, it logs
// that once.
func (s *Server) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current.Load()
	if current.config == nil {
		return
	}
	all, err := readAll(s.files.Cert, s.files.Key, s.files.ClientCA)
	if err == nil && all.equal(current.contents) {
		s.wrong = wrongFiles{}
		return
	}
	var next *loaded
	if err == nil {
		if next, err = makeServer(s.files, all); err == nil {
			err = checkTime(s.files.Cert, next.config.Certificates[0].Leaf, s.now())
		}
	}
	if err != nil {
		if s.wrong.note(all, err) {
			s.failures.Add(1)
			s.log.Warn("new TLS files are not used; the server keeps its certificate", "error", err, "expires", current.notAfter.UTC().Format(time.RFC3339))
		}
		return
	}
	s.wrong = wrongFiles{}
	s.current.Store(next)
	s.log.Info("the TLS certificate was replaced", "expires", next.notAfter.UTC().Format(time.RFC3339))
}
