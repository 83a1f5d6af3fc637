package peer

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An Endpoint is the parsed URL of a server. Only Target may be shown or logged:
// the other parts may be secret.
type Endpoint struct {
	Scheme, Host, Port string
	User, Password     string
	Path               string // without the leading slash
}

// Target returns host:port.
func (e Endpoint) Target() string { return net.JoinHostPort(e.Host, e.Port) }

// ParseEndpoint parses a URL. ports maps each allowed scheme to its default port.
// The error does not quote the URL, because an unescaped password may be in any
// part of it.
func ParseEndpoint(text string, ports map[string]string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return Endpoint{}, errors.New("the url is not of the form scheme://[user:password@]host[:port][/name]")
	}
	e := Endpoint{Scheme: u.Scheme, Host: u.Hostname(), Port: u.Port(), User: u.User.Username()}
	e.Password, _ = u.User.Password()
	if u.Path != "" {
		e.Path = u.Path[1:]
	}
	port, ok := ports[e.Scheme]
	if !ok {
		return Endpoint{}, fmt.Errorf("the url's scheme must be one of %s", strings.Join(slices.Sorted(maps.Keys(ports)), ", "))
	}
	if e.Port == "" {
		e.Port = port
	}
	if n, err := strconv.ParseUint(e.Port, 10, 16); err != nil || n == 0 {
		return Endpoint{}, errors.New("the url's port is not within 1 and 65535")
	}
	return e, nil
}
