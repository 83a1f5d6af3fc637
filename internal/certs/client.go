package certs

import (
	"crypto/tls"
	"log/slog"
	"sync"
)

// ClientFiles are the files of a client.
type ClientFiles struct {
	CA   File // the authorities of servers; an empty path: those of the system
	Cert File // the client's certificate; an empty path: it has none
	Key  File // the private key of the certificate; an empty path: it is in Cert
}

func (f ClientFiles) read() (contents, error) { return readAll(f.CA, f.Cert, f.Key) }

// Client has the certificates of a client. It is safe for concurrent use.
type Client struct {
	files ClientFiles
	log   *slog.Logger

	mu       sync.Mutex
	contents contents // of the files when config was made
	config   *tls.Config
	wrong    wrongFiles
}

// NewClient reads files. The error names the setting and the file. log receives a warning
// when the files are replaced by wrong ones.
func NewClient(files ClientFiles, log *slog.Logger) (*Client, error) {
	c := &Client{files: files, log: log}
	all, err := files.read()
	if err != nil {
		return nil, err
	}
	if c.config, err = makeClient(files, all); err != nil {
		return nil, err
	}
	c.contents = all
	return c, nil
}

// LoadClient reads files once. The error names the setting and the file.
func LoadClient(files ClientFiles) (*tls.Config, error) {
	all, err := files.read()
	if err != nil {
		return nil, err
	}
	return makeClient(files, all)
}

// makeClient makes a configuration from the contents of files.
func makeClient(files ClientFiles, all contents) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	var err error
	if files.CA.Path != "" {
		if config.RootCAs, err = pool(files.CA, all[0]); err != nil {
			return nil, err
		}
	}
	if files.Cert.Path != "" {
		cert, err := pair(files.Cert, files.Key, all[1], all[2])
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// Config returns the configuration for the next connection. It reads the files again. If
// they are wrong, it returns the last good configuration. The caller must not change the
// result.
func (c *Client) Config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, err := c.files.read()
	if err == nil && all.equal(c.contents) {
		c.wrong = wrongFiles{}
		return c.config
	}
	var config *tls.Config
	if err == nil {
		config, err = makeClient(c.files, all)
	}
	if err != nil {
		if c.wrong.note(all, err) {
			c.log.Warn("new TLS files of a client are not used; it keeps its certificates", "error", err)
		}
		return c.config
	}
	c.contents, c.config, c.wrong = all, config, wrongFiles{}
	return config
}
