package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"nearside/matcher"
)

type objectPutCmd struct {
	remoteFlag
	resource resource
	File     string `arg:"" name:"file" help:"File of objects, or - for the standard input: one JSON object, an array, or a JSON object per line."`
}

// Help is printed below the flags.
func (c *objectPutCmd) Help() string {
	return fmt.Sprintf(`Example:

    nearside %[1]s put %[2]s.ndjson

An object with an id is created or replaced; an object without one gets a new id. The output has one line of JSON with the id for each object. The command ends at the first object that the server refuses; the objects before it are stored. For many objects, nearside import is faster.

%[3]s`, c.resource.name, c.resource.plural, commonExitCodes)
}

// Run sends the objects one after the other.
func (c *objectPutCmd) Run(s *system) error {
	send := (*client).putFace
	if c.resource.origin == matcher.Events {
		send = (*client).putEvent
	}
	return putObjects(s, &c.remoteFlag, c.resource, c.File, send)
}

type attributePutCmd struct {
	objectPutCmd
	TTL *uint32 `name:"ttl" help:"Seconds after which the attributes are deleted (default: 300)." placeholder:"SECONDS"`
}

// Run sends the attributes one after the other.
func (c *attributePutCmd) Run(s *system) error {
	query := url.Values{}
	if c.TTL != nil {
		query.Set("ttl", strconv.FormatUint(uint64(*c.TTL), 10))
	}
	send := func(server *client, s *system, object json.RawMessage, id *matcher.ID) ([]byte, error) {
		if id == nil {
			created := matcher.NewID()
			id = &created
		}
		return server.sendBody(s.ctx, http.MethodPut, "/1/attributes/"+id.String(), query, "application/json", bytes.NewReader(object))
	}
	return putObjects(s, &c.remoteFlag, c.resource, c.File, send)
}

// putFunc stores an object and returns the line to print; id is nil if the object has no
// id.
type putFunc func(server *client, s *system, object json.RawMessage, id *matcher.ID) ([]byte, error)

func (c *client) putFace(s *system, face json.RawMessage, id *matcher.ID) ([]byte, error) {
	method, path := http.MethodPost, "/1/faces"
	if id != nil {
		method, path = http.MethodPut, path+"/"+id.String()
	}
	return c.sendBody(s.ctx, method, path, nil, "application/json", bytes.NewReader(face))
}

// putEvent sends an event as the line of an import, because POST does not replace.
func (c *client) putEvent(s *system, event json.RawMessage, id *matcher.ID) ([]byte, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, event); err != nil {
		return nil, err
	}
	body := line.Bytes()
	if id == nil {
		created := matcher.NewID()
		id = &created
		body = appendWithID(nil, body, "event_id", func([]byte) matcher.ID { return created })
	}
	data, err := c.sendBody(s.ctx, http.MethodPost, "/1/import", url.Values{"origin": {"events"}}, "application/x-ndjson", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var answer importAnswer
	switch err := json.Unmarshal(data, &answer); {
	case err != nil:
		return nil, fmt.Errorf("server: /1/import: %w", err)
	case len(answer.Errors) > 0:
		return nil, fmt.Errorf("server: %s", answer.Errors[0].Detail)
	case answer.Accepted != 1:
		return nil, fmt.Errorf("server: /1/import: must accept 1 line, accepted %d", answer.Accepted)
	}
	return json.Marshal(map[string]string{"event_id": id.String()})
}

// putObjects reads the objects of a file and sends them one after the other.
func putObjects(s *system, remote *remoteFlag, r resource, path string, send putFunc) error {
	server, err := remote.client(s)
	if err != nil {
		return err
	}
	var objects *objectReader
	if path == "-" {
		objects = newObjectReader(untilInterrupted(s.ctx, s.stdin))
	} else {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer closeRead(file)
		objects = newObjectReader(file)
	}
	for n := 0; ; n++ {
		object, err := objects.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var id *matcher.ID
		if err == nil {
			id, err = idOf(object, r)
		}
		var line []byte
		if err == nil {
			line, err = send(server, s, object, id)
		}
		if err == nil {
			err = printLine(s, line)
		}
		if err != nil {
			return stoppedAfter(fmt.Errorf("%s: object %d: %w", path, n+1, err), "stored", n, r)
		}
	}
}

// idOf returns the id of an object, or nil if it has none.
func idOf(object json.RawMessage, r resource) (*matcher.ID, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("must be a JSON object, got %q", matcher.Shorten(string(object)))
	}
	value := fields[r.idField()]
	if value == nil || string(value) == "null" {
		return nil, nil
	}
	var text string
	err := json.Unmarshal(value, &text)
	if err == nil {
		var id matcher.ID
		if id, err = matcher.ParseID(text); err == nil {
			return &id, nil
		}
	}
	return nil, fmt.Errorf("%s: must be a UUID, got %s", r.idField(), matcher.Shorten(string(value)))
}
