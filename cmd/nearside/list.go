package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"nearside/matcher"
)

// lists are the resource of the list commands. A list is not a candidate of matches, so
// it has no origin of its own.
var lists = resource{name: "list", path: "/1/lists", plural: "lists"}

type listCmd struct {
	Create listCreateCmd `cmd:"" help:"Create a list."`
	Get    listGetCmd    `cmd:"" help:"Print lists by id."`
	Put    listPutCmd    `cmd:"" help:"Create or replace lists."`
	Delete listDeleteCmd `cmd:"" help:"Delete lists by id."`
	Find   listFindCmd   `cmd:"" help:"Print the lists, page by page."`
	Attach listAttachCmd `cmd:"" help:"Add faces to a list."`
	Detach listDetachCmd `cmd:"" help:"Remove faces from a list."`
}

type listCreateCmd struct {
	remoteFlag
	ID       string `name:"id" help:"Id of the list (default: a new one)." placeholder:"ID"`
	Account  string `help:"Account of the list." placeholder:"ID"`
	UserData string `help:"Text that the list keeps." placeholder:"TEXT"`
}

// Help is printed below the flags.
func (*listCreateCmd) Help() string {
	return "Example:\n\n    nearside list create --user-data staff\n\nThe output is JSON with the id of the list.\n\n" + commonExitCodes
}

// Run creates a list.
func (c *listCreateCmd) Run(s *system) error {
	body := map[string]string{}
	for _, field := range []struct{ flag, name, text string }{{"--id", "list_id", c.ID}, {"--account", "account_id", c.Account}} {
		if field.text == "" {
			continue
		}
		if _, err := matcher.ParseID(field.text); err != nil {
			return usagef("%s: %v", field.flag, err)
		}
		body[field.name] = field.text
	}
	if c.UserData != "" {
		body["user_data"] = c.UserData
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	data, err := server.call(s.ctx, http.MethodPost, lists.path, nil, body)
	if err != nil {
		return err
	}
	return printLine(s, data)
}

type listGetCmd struct {
	remoteFlag
	IDs []string `arg:"" name:"id" help:"Ids of the lists."`
}

// Help is printed below the flags.
func (*listGetCmd) Help() string {
	return "Example:\n\n    nearside list get 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e\n\nEach list is printed as one line of JSON, with the number of its faces.\n\n" + commonExitCodes
}

// Run prints the lists.
func (c *listGetCmd) Run(s *system) error { return getObjects(s, &c.remoteFlag, lists, c.IDs, nil) }

type listPutCmd struct {
	remoteFlag
	File string `arg:"" name:"file" help:"File of lists, or - for the standard input: one JSON object, an array, or a JSON object per line."`
}

// Help is printed below the flags.
func (*listPutCmd) Help() string {
	return `Example:

    echo '{"list_id": "0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e", "user_data": "staff"}' | nearside list put -

A list that does not exist is created. Of a list that exists, user_data is replaced; its faces stay. The output has one line of JSON with the id for each list.

` + commonExitCodes
}

// Run sends the lists one after the other.
func (c *listPutCmd) Run(s *system) error {
	return putObjects(s, &c.remoteFlag, lists, c.File, (*client).putList)
}

// putList creates a list, or replaces the user_data of a list that exists.
func (c *client) putList(s *system, list json.RawMessage, id *matcher.ID) ([]byte, error) {
	data, err := c.sendBody(s.ctx, http.MethodPost, lists.path, nil, "application/json", bytes.NewReader(list))
	if fault, ok := errors.AsType[*serverError](err); !ok || fault.Code != matcher.CodeListExists || id == nil {
		return data, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(list, &fields); err != nil {
		return nil, err
	}
	if fields["user_data"] == nil {
		fields["user_data"] = json.RawMessage("null") // clears it
	}
	return c.call(s.ctx, http.MethodPatch, lists.path+"/"+id.String(), nil, fields)
}

type listDeleteCmd struct {
	remoteFlag
	IDs       []string `arg:"" name:"id" help:"Ids of the lists."`
	WithFaces bool     `help:"Delete the faces of the lists, too."`
	Yes       bool     `help:"Confirm --with-faces."`
}

// Help is printed below the flags.
func (*listDeleteCmd) Help() string {
	return `Examples:

    nearside list delete 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e
    nearside list delete 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e --with-faces --yes

The faces of a list are kept, unless --with-faces is given. The output is JSON with the number of deleted lists.

` + commonExitCodes
}

// Run deletes the lists.
func (c *listDeleteCmd) Run(s *system) error {
	query := url.Values{}
	if c.WithFaces != c.Yes {
		return usagef("--with-faces and --yes must be given together; they delete all faces of the lists")
	}
	if c.WithFaces {
		query.Set("with_faces", "1")
	}
	return deleteObjects(s, &c.remoteFlag, lists, c.IDs, query)
}

type listFindCmd struct {
	remoteFlag
	pageFlags
}

// Help is printed below the flags.
func (*listFindCmd) Help() string {
	return "Example:\n\n    nearside list find --all\n\nEach list is printed as one line of JSON, with the number of its faces. If there are more lists than the page has, a note on the standard error says so.\n\n" + commonExitCodes
}

// Run prints the lists.
func (c *listFindCmd) Run(s *system) error {
	return printPages(s, &c.remoteFlag, lists, &c.pageFlags, func(server *client, fields map[string]any) ([]byte, error) {
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, fmt.Sprint(value))
		}
		return server.call(s.ctx, http.MethodGet, lists.path, query, nil)
	})
}

// linkArguments are the arguments of the commands that change which faces a list has.
type linkArguments struct {
	remoteFlag
	List  string   `arg:"" name:"list_id" help:"Id of the list."`
	Faces []string `arg:"" name:"face_id" help:"Ids of the faces."`
}

// run sends one request for all faces, so that either all of them or none are changed.
func (c *linkArguments) run(s *system, action string) error {
	list, err := matcher.ParseID(c.List)
	if err != nil {
		return usagef("%v", err)
	}
	faces, err := parseIDs(c.Faces)
	if err != nil {
		return err
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	texts := make([]string, len(faces))
	for i, id := range faces {
		texts[i] = id.String()
	}
	_, err = server.call(s.ctx, http.MethodPatch, "/1/linker", nil, map[string]any{"action": action, "list_id": list.String(), "face_ids": texts})
	if err != nil {
		return err
	}
	return printJSON(s, map[string]int{action + "ed": len(faces)})
}

type listAttachCmd struct{ linkArguments }

// Help is printed below the flags.
func (*listAttachCmd) Help() string {
	return "Example:\n\n    nearside list attach 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e 5dc73618-3df8-563e-bc95-4cff773c93ec\n\nIf the list or a face does not exist, nothing is changed.\n\n" + commonExitCodes
}

// Run adds the faces.
func (c *listAttachCmd) Run(s *system) error { return c.run(s, "attach") }

type listDetachCmd struct{ linkArguments }

// Help is printed below the flags.
func (*listDetachCmd) Help() string {
	return "Example:\n\n    nearside list detach 0b8ee4e5-31fd-46ba-9df0-2b1a5a4b9f3e 5dc73618-3df8-563e-bc95-4cff773c93ec\n\nIf the list or a face does not exist, nothing is changed.\n\n" + commonExitCodes
}

// Run removes the faces.
func (c *listDetachCmd) Run(s *system) error { return c.run(s, "detach") }
